//! `SERVER_URL`, as terminals and browsers use it: whether it leads to this server, and what a proxy in front makes of requests
//! and answers.
//!
//! A login is opened there, which claims to come from elsewhere, as a client might. If it is in the database at `DATABASE_URL`,
//! this server or a replica opened it, and its row tells which address the server took for the client's. Then it is deleted, or
//! else expires by itself; nobody has its codes.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};

use crate::check::page;
use crate::check::report::Finding;
use crate::config::{ClientIpSource, Config, is_private_address};
use crate::db::{Database, DatabaseError};
use crate::grant::{DeviceCode, GrantId};
use crate::outbound::{self, NoAnswer};
use crate::store::Store;

const HTTPS: &str = "server_url.https";
const REACH: &str = "server_url.reach";
const CLIENT_ADDRESS: &str = "server_url.client_address";

/// Reserved for documentation (RFC 5737).
const FORGED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const OPEN_TIMEOUT: Duration = Duration::from_secs(6);
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);
/// The row may be committed a moment after the answer, and a pooler may ask a standby.
const FIND_ATTEMPTS: usize = 5;
const FIND_DELAY: Duration = Duration::from_millis(500);

/// The address that the server took for the client's, if the login is in the database; `Some(None)` if it knew none.
type Noted = Result<Option<Option<IpAddr>>, DatabaseError>;

pub(super) fn https(config: &Config) -> Finding {
    let url = &config.server_url;
    if url.is_https() || url.is_loopback() && config.platform.is_none() {
        return Finding::ok(HTTPS, format!("{url} uses https, or is on this machine."));
    }
    let what = format!(
        "SERVER_URL is {url}, without https, which is for trying out only: anyone on the network path can take over a login."
    );
    let fix = "Put a proxy with a certificate in front (deploy/), and set SERVER_URL to its https:// address.";
    Finding::fail(HTTPS, what, fix)
}

pub(super) async fn findings(config: &Config, http: &reqwest::Client) -> Vec<Finding> {
    let (opened, leads_to_itself) = tokio::join!(open(config, http), leads_to_this_machine(config));
    // Also without a login: if PostgreSQL is unavailable, none can be opened.
    let noted = find_and_delete(config, opened.as_ref().ok().map(DeviceCode::grant_id)).await;
    let mut findings = vec![https(config), reach(config, &opened, noted, leads_to_itself)];
    if let Ok(Some(requester)) = noted {
        // Otherwise no proxy is in front of this server.
        if config.server_url.is_https() || !config.server_url.is_loopback() {
            findings.push(client_address(config, requester, leads_to_itself));
        }
        findings.extend(page::findings(config, http).await);
    }
    findings
}

async fn open(config: &Config, http: &reqwest::Client) -> Result<DeviceCode, NoAnswer> {
    let request = http
        .post(config.server_url.join("/device/code"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("X-Forwarded-For", FORGED.to_string())
        .header("X-Real-IP", FORGED.to_string())
        .body("client_id=postiz-auth-check");
    let answer = outbound::ask(request.timeout(OPEN_TIMEOUT)).await?;
    let opened: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    // Other auth servers' device codes look different.
    let code = opened["device_code"].as_str().and_then(|code| code.parse().ok());
    code.filter(|_| answer.status == StatusCode::OK).ok_or_else(|| answer.odd())
}

async fn find_and_delete(config: &Config, grant: Option<GrantId>) -> Noted {
    let store = Store::new(config, Database::new(config).map_err(|_| DatabaseError::Unavailable)?);
    let Some(grant) = grant else {
        return if store.database().is_writable().await { Ok(None) } else { Err(DatabaseError::Unavailable) };
    };
    for _ in 0..FIND_ATTEMPTS {
        if let Some(requester) = store.find_requester(grant).await? {
            let _ = store.delete(grant).await;
            return Ok(Some(requester));
        }
        sleep(FIND_DELAY).await;
    }
    Ok(None)
}

/// A name that leads to a private address of this machine may lead to another machine elsewhere.
async fn leads_to_this_machine(config: &Config) -> bool {
    let url = config.server_url.join("");
    let Some(name) = url.domain().filter(|_| !config.server_url.is_loopback()) else { return false };
    let found = timeout(LOOKUP_TIMEOUT, lookup_host((name, 0))).await;
    found.is_ok_and(|found| found.is_ok_and(|mut addresses| addresses.any(|address| is_own(address.ip()))))
}

/// Only an address of this machine can be bound. A public one is the same for everybody.
fn is_own(address: IpAddr) -> bool {
    is_private_address(address) && UdpSocket::bind((address, 0)).is_ok()
}

fn elsewhere(check: &'static str, config: &Config) -> Finding {
    let url = &config.server_url;
    Finding::skipped(check, format!("From here, {url} leads to this machine itself: check from another one."))
}

fn reach(config: &Config, opened: &Result<DeviceCode, NoAnswer>, noted: Noted, leads_to_itself: bool) -> Finding {
    let url = &config.server_url;
    match (opened, noted) {
        (_, Ok(Some(_))) => Finding::ok(REACH, format!("{url} leads to this server.")),
        // Without PostgreSQL, no login can be opened, and none found.
        (Ok(_) | Err(NoAnswer::Slow | NoAnswer::Odd { status: StatusCode::SERVICE_UNAVAILABLE, .. }), Err(_)) => {
            Finding::skipped(REACH, format!("Only PostgreSQL can tell whether {url} leads to this server."))
        }
        _ if leads_to_itself => elsewhere(REACH, config),
        (Ok(_), Ok(None)) => Finding::fail(
            REACH,
            format!("{url} leads to another auth server, which uses another database."),
            "Point the name, or the proxy, to this installation. If the variables have changed, restart the server first.",
        ),
        (Err(odd @ NoAnswer::Odd { status: StatusCode::TOO_MANY_REQUESTS, .. }), _) => {
            Finding::skipped(REACH, format!("{url} {odd}: too many logins were opened from here, so wait a minute."))
        }
        (Err(no_answer), _) => Finding::fail(
            REACH,
            format!("{url} {no_answer}, so it does not lead to this server."),
            format!(
                "Start the server; check DNS, firewall and certificate. The proxy has to pass all paths below SERVER_URL on to the \
                 server's port, {}, without a password or a challenge. A redirect turns the CLI's POST into a GET: set SERVER_URL \
                 to its target. If this machine can't reach its own public address, check from another one.",
                config.port
            ),
        ),
    }
}

/// A proxy that appends the real address makes the server take that one. If this machine counts as a proxy itself, the server
/// rightly believes what it claims.
fn client_address(config: &Config, requester: Option<IpAddr>, leads_to_itself: bool) -> Finding {
    let is_https = config.server_url.is_https();
    let is_proxy = || config.trusted_proxies.iter().any(|network| is_private_address(network.network()));
    let is_peer = config.client_ip_source == ClientIpSource::Connection;
    let may_be_proxys = |client| is_peer || is_private_address(client) && !is_own(client);
    let fix = "Let the proxy append the client's address to X-Forwarded-For (nginx: proxy_set_header X-Forwarded-For \
               $proxy_add_x_forwarded_for;), or replace X-Real-IP, and set CLIENT_IP_SOURCE=Auto. Name a proxy with a public \
               address, and each one before the first, in TRUSTED_PROXIES.";
    match requester {
        Some(client) if leads_to_itself || !is_peer && client.is_loopback() => elsewhere(CLIENT_ADDRESS, config),
        Some(client) if client == FORGED && is_proxy() => Finding::skipped(
            CLIENT_ADDRESS,
            "This machine may be one of TRUSTED_PROXIES, whose claims are believed: check from another one.",
        ),
        Some(client) if client == FORGED => Finding::fail(
            CLIENT_ADDRESS,
            "A client can choose its own address: the proxy passes X-Forwarded-For or X-Real-IP on unchanged.",
            fix,
        ),
        None => Finding::warn(CLIENT_ADDRESS, "The proxy passes no client's address on.", fix),
        Some(client) if is_https && may_be_proxys(client) => Finding::warn(
            CLIENT_ADDRESS,
            format!("The server sees {client}. If that is the address of the proxy, all clients seem to have it."),
            fix,
        ),
        Some(client) => Finding::ok(
            CLIENT_ADDRESS,
            format!("The server sees this machine as {client} and ignores a forged address."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::report::Verdict;

    fn config(server_url: &str, source: &str, trusted: &str) -> Config {
        let variables = [
            ("DATABASE_URL", "postgres://auth:x@localhost/auth"),
            ("SERVER_URL", server_url),
            ("CLIENT_IP_SOURCE", source),
            ("TRUSTED_PROXIES", trusted),
        ];
        Config::from_vars(variables.map(|(name, value)| (name.into(), value.into()))).unwrap()
    }

    #[test]
    fn what_this_machine_can_not_know_is_skipped() {
        use Verdict::{Fail, Ok, Skipped};
        let config = config("https://auth.example.com", "Auto", "");
        let odd = |status| Err(NoAnswer::Odd { status: StatusCode::from_u16(status).unwrap(), header: String::new() });
        let opened = || Result::Ok(DeviceCode::random());
        for (opened, noted, leads_to_itself, verdict) in [
            (opened(), Result::Ok(Some(None)), false, Ok),
            (opened(), Result::Ok(Some(None)), true, Ok),
            (opened(), Err(DatabaseError::Unavailable), false, Skipped),
            (opened(), Result::Ok(None), false, Fail),
            (opened(), Result::Ok(None), true, Skipped),
            (odd(404), Result::Ok(None), false, Fail),
            (odd(404), Result::Ok(None), true, Skipped),
            (odd(429), Result::Ok(None), false, Skipped),
            (odd(502), Result::Ok(None), false, Fail),
            (odd(503), Err(DatabaseError::Unavailable), false, Skipped),
            (odd(404), Err(DatabaseError::Unavailable), false, Fail),
            (Err(NoAnswer::Slow), Result::Ok(None), false, Fail),
            (Err(NoAnswer::Slow), Result::Ok(None), true, Skipped),
        ] {
            let what = format!("{opened:?} {noted:?} {leads_to_itself}");
            assert_eq!(reach(&config, &opened, noted, leads_to_itself).verdict, verdict, "{what}");
        }
    }

    #[test]
    fn what_the_server_noted_is_judged_only_where_it_tells_something() {
        use Verdict::{Fail, Ok, Skipped, Warn};
        let (https, http) = ("https://auth.example.com", "http://nas.lan:3111");
        for (url, source, trusted, requester, leads_to_itself, verdict) in [
            (https, "Auto", "", "192.0.2.77", false, Fail),
            (https, "Auto", "10.0.0.0/8", "192.0.2.77", false, Skipped),
            (https, "Auto", "203.0.113.0/24", "192.0.2.77", false, Fail),
            (http, "Auto", "", "192.0.2.77", false, Fail),
            (https, "Auto", "", "", false, Warn),
            (https, "Auto", "", "10.0.0.9", false, Warn),
            (https, "Auto", "", "127.0.0.1", false, Skipped),
            (https, "Auto", "", "192.0.2.77", true, Skipped),
            (http, "Auto", "", "192.168.1.9", false, Ok),
            (https, "Connection", "", "203.0.113.9", false, Warn),
            (https, "Auto", "", "203.0.113.9", false, Ok),
        ] {
            let found = client_address(&config(url, source, trusted), requester.parse().ok(), leads_to_itself);
            assert_eq!(found.verdict, verdict, "{url} {source} {trusted}: {requester:?}");
        }
    }
}
