//! `SERVER_URL`, from outside in: whether it leads to this very server, and what the proxy says of clients.

use std::net::Ipv4Addr;

use http::header::LOCATION;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::check::client_address;
use crate::check::report::Finding;
use crate::config::{Config, ServerUrlSource};
use crate::http::mirror::{self, MirrorKey, Question, Reflection};
use crate::outbound;

const REACH: &str = "server_url.reach";
const HTTPS: &str = "server_url.https";
/// Sent along as if it were a client's own claim: an address that nobody has (RFC 5737).
pub(super) const CLAIMED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);

/// What answers at `SERVER_URL`.
#[derive(Debug)]
pub(super) enum Reached {
    /// This server or a sibling.
    Ourselves(Reflection),
    /// A server like this one, which does not know us, by what it calls itself.
    AnotherOne(String),
    /// Something else, by its status.
    SomethingElse(u16),
    /// A redirect, to there.
    Redirect(String),
    /// A proxy that does not reach its server.
    Gateway(u16),
    /// Nobody; and whether a server listens on this machine's `PORT`.
    Nobody { cause: String, runs_here: bool },
}

/// Whether anything stands between the world and this server; where it does not, no header is looked at.
pub(super) fn is_outside(config: &Config) -> bool {
    config.server_url.is_https() || !config.server_url.is_loopback()
}

pub(super) async fn reach(config: &Config, http: &reqwest::Client) -> Reached {
    let (key, question) = (MirrorKey::new(&config.client_secret), Question::random());
    let mut request = http.get(config.server_url.join(mirror::PATH)).header(mirror::QUESTION, key.ask(&question));
    if is_outside(config) {
        request = request.header("X-Forwarded-For", CLAIMED.to_string()).header("X-Real-IP", CLAIMED.to_string());
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => {
            let runs_here = TcpStream::connect(("localhost", config.port)).await.is_ok();
            return Reached::Nobody { cause: outbound::cause(error), runs_here };
        }
    };
    let status = answer.status();
    if status.is_redirection() {
        let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
        // Its query would be ours.
        return Reached::Redirect(to.split('?').next().unwrap_or_default().to_owned());
    }
    if matches!(status.as_u16(), 502..=504) {
        return Reached::Gateway(status.as_u16());
    }
    match json::<Reflection>(answer).await {
        Some(reflection) if key.recognises(&question, &reflection) => Reached::Ourselves(reflection),
        _ => stranger(config, http).await.map_or(Reached::SomethingElse(status.as_u16()), Reached::AnotherOne),
    }
}

/// What a server that is not this one calls itself, if it is one of its kind (RFC 8414).
async fn stranger(config: &Config, http: &reqwest::Client) -> Option<String> {
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

/// What was found, in sentences; `database` tells the database at `DATABASE_URL` from others.
pub(super) fn findings(config: &Config, reached: &Reached, database: Option<i64>) -> Vec<Finding> {
    let mut findings = vec![https(config), leads_here(config, reached, database)];
    if let (Reached::Ourselves(reflection), true) = (reached, is_outside(config)) {
        findings.push(client_address::finding(config, reflection));
    }
    findings
}

fn https(config: &Config) -> Finding {
    let url = &config.server_url;
    match (config.server_url_source, config.platform) {
        (ServerUrlSource::Default, Some(platform)) => Finding::wrong(
            HTTPS,
            format!("SERVER_URL is {url}, the default, although this runs on {platform}."),
            "Terminals would send people to their own machines.",
            "Set SERVER_URL to the service's public https:// address.",
        ),
        _ if url.is_https() => Finding::right(HTTPS, format!("{url} is encrypted.")),
        _ if url.is_loopback() => Finding::right(HTTPS, format!("{url} is this machine: for trying out.")),
        _ => Finding::wrong(
            HTTPS,
            format!("SERVER_URL is {url}, without https."),
            "Whoever is on the way can read the token and take over a login.",
            "Put a proxy with a certificate in front (deploy/), and set SERVER_URL to its https:// address.",
        ),
    }
}

fn leads_here(config: &Config, reached: &Reached, database: Option<i64>) -> Finding {
    let url = &config.server_url;
    let why = "Terminals and people go there, and Postiz sends people back to it.";
    match reached {
        Reached::Ourselves(reflection) => match (reflection.database, database) {
            (Some(theirs), Some(ours)) if theirs != ours => Finding::wrong(
                REACH,
                format!("{url} leads to a server with the same client secret and another database."),
                "An older installation still has the name: what is set here is used by nobody.",
                "Point the name, or the proxy, to this installation; stop the other one.",
            ),
            _ => Finding::right(REACH, format!("{url} leads to this very server.")),
        },
        Reached::AnotherOne(issuer) => Finding::wrong(
            REACH,
            format!("{url} leads to another server of this kind, which calls itself {issuer}."),
            why,
            "Point the name, or the proxy, here. A server that runs with older variables has to be restarted first.",
        ),
        Reached::SomethingElse(status) => Finding::wrong(
            REACH,
            format!("{url} leads to something else: it answers with status {status}."),
            why,
            "Set SERVER_URL to this server's address with its path; let the proxy pass every path below it on, \
             /health/mirror too.",
        ),
        Reached::Redirect(to) => Finding::wrong(
            REACH,
            format!("{url} redirects to {to}."),
            "A redirect turns the CLI's POST into a GET.",
            "Set SERVER_URL to where it redirects to, and give the CLI that address.",
        ),
        Reached::Gateway(status) => Finding::wrong(
            REACH,
            format!("A proxy answers at {url}, and does not reach its server (status {status})."),
            why,
            format!("Start the server; let the proxy send requests to its port, {}.", config.port),
        ),
        Reached::Nobody { cause, runs_here: false } if is_outside(config) => Finding::wrong(
            REACH,
            format!("Nobody answers at {url} ({cause}), and no server runs on port {} of this machine.", config.port),
            why,
            "Start the server and check again. If it runs elsewhere, look at DNS, firewall and proxy.",
        ),
        Reached::Nobody { runs_here: false, .. } => Finding::doubtful(
            REACH,
            format!("No server runs on port {} of this machine.", config.port),
            "Whether SERVER_URL leads to it can only be seen while it runs.",
            "Start it, and check again.",
        ),
        Reached::Nobody { cause, runs_here: true } => Finding::wrong(
            REACH,
            format!("Nobody answers at {url}: {cause}."),
            why,
            "Look at DNS, firewall, certificate and proxy. Where this machine can't reach its own public address, check \
             from another one.",
        ),
    }
}
