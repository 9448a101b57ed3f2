//! `SERVER_URL`, as terminals and browsers use it: whether it leads to this server, and what a proxy in front makes of requests
//! and answers.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::{Host, Url};

use crate::check::report::{Check, Finding};
use crate::check::trial_login::{self, Found};
use crate::check::{client_address, page};
use crate::config::{Config, is_private_address};
use crate::db::Inspection;
use crate::grant::DeviceCode;
use crate::outbound::{NoAnswer, OddAnswer};

const HTTPS: Check = Check::new("server_url.https", "Without https, anyone on the network path can take over a login.");
const REACH: Check =
    Check::new("server_url.reach", "Terminals and browsers use this address, and Postiz sends people back to it.");
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);

/// What was found at `SERVER_URL`.
pub(super) struct Reached {
    opened: Result<DeviceCode, NoAnswer>,
    page: Result<page::Visits, NoAnswer>,
    /// A server listens on this machine's `PORT`.
    runs_here: bool,
    /// The name leads to this address, which is this machine's own and may be another machine's elsewhere.
    own_address: Option<IpAddr>,
    /// From where this machine asks.
    from: Option<IpAddr>,
}

/// Whether a proxy may be in front of this server.
fn is_outside(config: &Config) -> bool {
    config.server_url.is_https() || !config.server_url.is_loopback()
}

pub(super) async fn reach(config: &Config, http: &reqwest::Client) -> Reached {
    let url = config.server_url.join("");
    let (opened, page, addresses, here) = tokio::join!(
        trial_login::open(config, http, is_outside(config)),
        page::visit(config, http),
        timeout(LOOKUP_TIMEOUT, addresses(&url)),
        timeout(LOOKUP_TIMEOUT, TcpStream::connect(("localhost", config.port))),
    );
    let addresses = addresses.unwrap_or_default();
    let is_name = matches!(url.host(), Some(Host::Domain(_))) && !config.server_url.is_loopback();
    Reached {
        opened,
        page,
        runs_here: matches!(here, Ok(Ok(_))),
        own_address: addresses.iter().map(SocketAddr::ip).find(|address| is_name && is_own(*address)),
        from: addresses.iter().find_map(|address| source_address(*address).ok()),
    }
}

async fn addresses(url: &Url) -> Vec<SocketAddr> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    lookup_host((host, url.port_or_known_default().unwrap_or_default()))
        .await
        .map(Iterator::collect)
        .unwrap_or_default()
}

/// Only an address of this machine can be bound. A public one is the same for everybody.
fn is_own(address: IpAddr) -> bool {
    is_private_address(address) && UdpSocket::bind((address, 0)).is_ok()
}

/// From which this machine would send; sends nothing.
fn source_address(to: SocketAddr) -> std::io::Result<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() }, 0))?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

pub(super) fn https(config: &Config) -> Finding {
    let url = &config.server_url;
    match config.platform {
        Some(platform) if url.is_loopback() => HTTPS.fail(
            format!(
                "SERVER_URL is {url}, although this runs on {platform}: it would send people to their own machine."
            ),
            "Set SERVER_URL to the service's public https:// address.",
        ),
        _ if url.is_https() => HTTPS.ok(format!("{url} uses https.")),
        _ if url.is_loopback() => HTTPS.ok(format!("{url} is on this machine, which is fine for trying out.")),
        _ => HTTPS.fail(
            format!("SERVER_URL is {url}, without https, which is for trying out only."),
            "Put a proxy with a certificate in front (deploy/), and set SERVER_URL to its https:// address.",
        ),
    }
}

/// `database` is the one at `DATABASE_URL`, if it could be inspected.
pub(super) async fn findings(config: &Config, reached: &Reached, database: Option<&Inspection>) -> Vec<Finding> {
    let mut findings = vec![https(config)];
    let found = match (&reached.opened, database) {
        (Err(_), _) => Found::NotHere,
        (Ok(_), None) => Found::Unknown,
        // No server has used this database yet. The one that answers uses another.
        (Ok(_), Some(database)) if database.missing.contains(&"device_requests") => Found::NotHere,
        (Ok(code), Some(_)) => trial_login::find_and_delete(config, code).await,
    };
    findings.push(leads_here(config, reached, found));
    if let Found::Here(requester) = found {
        if is_outside(config) {
            findings.push(match reached.own_address {
                Some(own) => client_address::CHECK.skipped(elsewhere(config, own)),
                None => client_address::finding(config, requester, reached.from, is_own),
            });
        }
        findings.extend(page::findings(config, &reached.page));
    }
    findings
}

fn elsewhere(config: &Config, own: IpAddr) -> String {
    format!("From here, {} leads to {own}, this machine itself: check from another one.", config.server_url)
}

fn leads_here(config: &Config, reached: &Reached, found: Found) -> Finding {
    let url = &config.server_url;
    match (&reached.opened, found) {
        (_, Found::Here(_)) => REACH.ok(format!("{url} leads to this server.")),
        (_, Found::Unknown) => {
            REACH.skipped("An auth server answers. Only PostgreSQL can tell whether it is this one.")
        }
        _ if let Some(own) = reached.own_address => REACH.skipped(elsewhere(config, own)),
        (Ok(_), Found::NotHere) => REACH.fail(
            format!("{url} leads to another auth server, which uses another database."),
            "Point the name, or the proxy, to this installation. If the variables have changed, restart the server first.",
        ),
        (Err(NoAnswer::Odd(odd)), _) if odd.status == 429 => {
            REACH.skipped(format!("{url} {odd}: too many logins were opened from here, so wait a minute."))
        }
        (Err(NoAnswer::Odd(odd)), _) if reached.runs_here || !matches!(odd.status.as_u16(), 502..=504) => {
            REACH.fail(format!("{url} {odd}, so it does not lead to this server."), not_this_server(config, odd))
        }
        (Err(no_answer), _) if reached.runs_here => REACH.fail(
            format!("{url} {no_answer}."),
            "Check DNS, firewall, certificate and proxy. If this machine can't reach its own public address, run the check on \
             another one.",
        ),
        (Err(no_answer), _) => {
            REACH.skipped(format!("{url} {no_answer}, and no server runs on port {} of this machine.", config.port))
        }
    }
}

fn not_this_server(config: &Config, odd: &OddAnswer) -> String {
    match (odd.status.as_u16(), &odd.header) {
        (502..=504, _) => format!("Let the proxy send requests to the server's port, {}; see its log.", config.port),
        (300..=399, Some(("location", _))) => "Set SERVER_URL to the address that it redirects to, and give the CLI that address: a \
            redirect turns its POST into a GET."
            .to_owned(),
        _ => "Set SERVER_URL to this server's address with its path. Let the proxy pass all paths below it on, without a password \
              or a challenge. On Postiz's own host, take a path that Postiz does not use, such as /cli-auth."
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;
    use crate::check::report::Verdict;

    #[test]
    fn what_this_machine_can_not_know_is_skipped() {
        use Verdict::{Fail, Ok, Skipped};
        let variables = [("DATABASE_URL", "postgres://a@localhost/a"), ("SERVER_URL", "https://auth.example.com")];
        let config = Config::from_vars(variables.map(|(name, value)| (name.into(), value.into()))).unwrap();
        let odd =
            |status| Err(NoAnswer::Odd(OddAnswer { status: StatusCode::from_u16(status).unwrap(), header: None }));
        let opened = || Result::Ok(DeviceCode::random());
        for (opened, found, runs_here, own, verdict) in [
            (opened(), Found::Here(None), true, "", Ok),
            (opened(), Found::Here(None), true, "127.0.1.1", Ok),
            (opened(), Found::Unknown, true, "", Skipped),
            (opened(), Found::NotHere, true, "", Fail),
            (opened(), Found::NotHere, true, "127.0.1.1", Skipped),
            (odd(404), Found::NotHere, true, "", Fail),
            (odd(404), Found::NotHere, false, "", Fail),
            (odd(404), Found::NotHere, true, "127.0.1.1", Skipped),
            (odd(429), Found::NotHere, true, "", Skipped),
            (odd(502), Found::NotHere, true, "", Fail),
            (odd(502), Found::NotHere, false, "", Skipped),
            (Err(NoAnswer::Slow), Found::NotHere, true, "", Fail),
            (Err(NoAnswer::Slow), Found::NotHere, false, "", Skipped),
            (Err(NoAnswer::Slow), Found::NotHere, true, "127.0.1.1", Skipped),
        ] {
            let what = format!("{opened:?} {found:?} {runs_here} {own}");
            let (own_address, page) = (own.parse().ok(), Err(NoAnswer::Slow));
            let reached = Reached { opened, page, runs_here, own_address, from: None };
            assert_eq!(leads_here(&config, &reached, found).verdict, verdict, "{what}");
        }
    }
}
