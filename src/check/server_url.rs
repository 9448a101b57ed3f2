//! `SERVER_URL`, from outside: whether it leads to this server, and whether the proxy passes the client's address on.

use http::header::LOCATION;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::check::client_address::{self, CLAIMED};
use crate::check::report::Finding;
use crate::config::{Config, ServerUrlSource};
use crate::http::self_check;
use crate::http::self_check_key::{Challenge, ObservedRequest, SelfCheckKey};
use crate::outbound;
use crate::secret::Secret;

const REACH: &str = "server_url.reach";
const HTTPS: &str = "server_url.https";
const WORDS: &str = "server_url.words";

const WHY: &str = "Terminals and browsers use this address, and Postiz sends people back to it.";

/// What answers at `SERVER_URL`.
#[derive(Debug)]
pub(super) enum Reached {
    /// This server or another replica.
    Ourselves(ObservedRequest),
    /// An auth server on another database, by its issuer.
    OtherServer(String),
    /// An auth server. Whether it is this one can't be said without the key in our database.
    SomeServer,
    /// Something else, by its status.
    SomethingElse(u16),
    /// To this location.
    Redirect(String),
    /// A proxy that does not reach its server, by its status.
    Gateway(u16),
    /// `runs_here`: whether a server listens on this machine's `PORT`.
    NoAnswer { cause: String, runs_here: bool },
}

/// Whether a proxy may be in front of this server.
pub(super) fn is_outside(config: &Config) -> bool {
    config.server_url.is_https() || !config.server_url.is_loopback()
}

/// `stored` is the key in the database at `DATABASE_URL`, if that could be read.
pub(super) async fn reach(config: &Config, http: &reqwest::Client, stored: Option<&Secret>) -> Reached {
    let key = SelfCheckKey::new(stored.cloned().unwrap_or_else(Secret::random));
    let challenge = Challenge::random();
    let url = config.server_url.join(self_check::PATH);
    let mut request = http.get(url).header(self_check::HEADER, key.header(&challenge));
    if is_outside(config) {
        request = request.header("X-Forwarded-For", CLAIMED.to_string()).header("X-Real-IP", CLAIMED.to_string());
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => {
            let runs_here = TcpStream::connect(("localhost", config.port)).await.is_ok();
            return Reached::NoAnswer { cause: outbound::cause(error), runs_here };
        }
    };
    let status = answer.status();
    if status.is_redirection() {
        let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
        // Its query may repeat ours.
        return Reached::Redirect(to.split('?').next().unwrap_or_default().to_owned());
    }
    if matches!(status.as_u16(), 502..=504) {
        return Reached::Gateway(status.as_u16());
    }
    match json::<ObservedRequest>(answer).await {
        Some(observed) if key.verifies(&challenge, &observed) => Reached::Ourselves(observed),
        _ => match issuer(config, http).await {
            Some(issuer) if stored.is_some() => Reached::OtherServer(issuer),
            Some(_) => Reached::SomeServer,
            None => Reached::SomethingElse(status.as_u16()),
        },
    }
}

/// The issuer of the auth server that answers there, if it is one (RFC 8414).
async fn issuer(config: &Config, http: &reqwest::Client) -> Option<String> {
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        #[serde(rename = "device_authorization_endpoint")]
        _device: String,
    }
    let url = config.server_url.join("/.well-known/oauth-authorization-server");
    Some(json::<Metadata>(http.get(url).send().await.ok()?).await?.issuer)
}

async fn json<T: DeserializeOwned>(answer: reqwest::Response) -> Option<T> {
    serde_json::from_slice(&outbound::body(answer).await.ok()?).ok()
}

pub(super) fn findings(config: &Config, reached: &Reached) -> Vec<Finding> {
    let mut findings = vec![https(config), leads_here(config, reached)];
    findings.extend(config.misleading_word().map(|word| {
        Finding::warn(
            WORDS,
            format!("SERVER_URL contains \"{word}\"."),
            "Postiz's sign-in page mistakes it for something else: people who are signed out never reach the question \
             whether to allow access.",
            "Use an address without \"google\" and \"settings\", in the path too.",
        )
    }));
    if let (Reached::Ourselves(observed), true) = (reached, is_outside(config)) {
        findings.push(client_address::finding(config, observed));
    }
    findings
}

fn https(config: &Config) -> Finding {
    let url = &config.server_url;
    match (config.server_url_source, config.platform) {
        (ServerUrlSource::Default, Some(platform)) => Finding::fail(
            HTTPS,
            format!("SERVER_URL is {url}, the default, although this runs on {platform}."),
            "Terminals would send people to localhost, which is their own machine.",
            "Set SERVER_URL to the service's public https:// address.",
        ),
        _ if url.is_https() => Finding::ok(HTTPS, format!("{url} uses https.")),
        _ if url.is_loopback() => {
            Finding::ok(HTTPS, format!("{url} is on this machine, which is fine for trying out."))
        }
        _ => Finding::fail(
            HTTPS,
            format!("SERVER_URL is {url}, without https."),
            "Anyone on the network path can read the token and take over a login.",
            "Put a proxy with a certificate in front (deploy/), and set SERVER_URL to its https:// address.",
        ),
    }
}

fn leads_here(config: &Config, reached: &Reached) -> Finding {
    let url = &config.server_url;
    match reached {
        Reached::Ourselves(_) => Finding::ok(REACH, format!("{url} leads to this server.")),
        Reached::SomeServer => Finding::skipped(REACH, "PostgreSQL has to answer first."),
        Reached::OtherServer(issuer) => Finding::fail(
            REACH,
            format!("{url} leads to another auth server, which uses another database. Its issuer is {issuer}."),
            "Nobody reaches this server. Often an older installation still has the name.",
            "Point the name, or the proxy, to this installation. If the variables have changed, restart the server first. If \
             it is this server, correct the clocks: they may differ by five minutes.",
        ),
        Reached::SomethingElse(status) => Finding::fail(
            REACH,
            format!("{url} leads to something else, which answers with status {status}."),
            WHY,
            "Set SERVER_URL to this server's address with its path. Let the proxy pass all paths below it on, \
             including /health/mirror.",
        ),
        Reached::Redirect(to) => Finding::fail(
            REACH,
            format!("{url} redirects to {to}."),
            "A redirect turns the CLI's POST into a GET.",
            "Set SERVER_URL to the address that it redirects to, and give the CLI that address.",
        ),
        Reached::Gateway(status) => Finding::fail(
            REACH,
            format!("A proxy answers at {url}, but it does not reach its server (status {status})."),
            WHY,
            format!("Start the server; let the proxy send requests to its port, {}.", config.port),
        ),
        Reached::NoAnswer { cause, runs_here } => no_answer(config, cause, *runs_here),
    }
}

fn no_answer(config: &Config, cause: &str, runs_here: bool) -> Finding {
    let url = &config.server_url;
    match runs_here {
        false if is_outside(config) => Finding::fail(
            REACH,
            format!("No answer from {url} ({cause}), and no server runs on port {} of this machine.", config.port),
            WHY,
            "Start the server and check again. If it runs elsewhere, check DNS, firewall and proxy.",
        ),
        false => Finding::warn(
            REACH,
            format!("No server runs on port {} of this machine.", config.port),
            "Whether SERVER_URL leads to it can only be checked while it runs.",
            "Start it and check again.",
        ),
        true => Finding::fail(
            REACH,
            format!("No answer from {url}: {cause}."),
            WHY,
            "Check DNS, firewall, certificate and proxy. If this machine can't reach its own public address, run the \
             check on another one.",
        ),
    }
}
