//! One login: its terminal and its person. Each has a client address of its own, as `X-Forwarded-For` of a proxy on the
//! loopback, so that no limit for one client or network is met by chance.

use std::io::{Error, ErrorKind, Result};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use crate::wire::{self, Answer, Connection};

/// The CLI's `fetch` closes a connection that is idle for longer. The Node server closes it after 5 s.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// Networks of honest clients; those above flood.
pub const HONEST_NETWORKS: usize = 0xf000;

/// Each login has a client of its own, and a person of its own at the stand-in.
static CLIENTS: AtomicUsize = AtomicUsize::new(1);

#[derive(Debug, Clone)]
pub struct Login {
    address: String,
    pub user_code: String,
    /// A poll as the CLI sends it.
    pub poll: Vec<u8>,
    /// Between two polls.
    pub interval: Duration,
}

/// Network `network` of the documentation's addresses is a /48, and `line` a /64 in it.
pub fn address(network: usize, line: usize) -> String {
    format!("2001:db8:{network:x}:{line:x}::1")
}

fn next_client() -> usize {
    CLIENTS.fetch_add(1, Ordering::Relaxed)
}

/// `POST /device/code` as the CLI sends it, from a client of its own.
pub fn open_request() -> Vec<u8> {
    open_request_from(&address(next_client() % HONEST_NETWORKS, 0))
}

fn open_request_from(address: &str) -> Vec<u8> {
    wire::from_address(address, &wire::post_json("/device/code", ""))
}

/// Opens a login of a new client.
pub async fn open(server: &mut Connection) -> Result<Login> {
    open_from(server, address(next_client() % HONEST_NETWORKS, 0)).await
}

pub async fn open_from(server: &mut Connection, address: String) -> Result<Login> {
    let answer = expect(server.ask(&open_request_from(&address)).await?, 200)?;
    let body: Value = serde_json::from_str(&answer.body)?;
    let text = |name: &str| body[name].as_str().map(str::to_owned).ok_or_else(|| unexpected(&answer));
    let poll = wire::post_json("/device/token", &format!(r#"{{"device_code":"{}"}}"#, text("device_code")?));
    // The CLI reads a missing interval as 5.
    let interval = Duration::from_secs(body["interval"].as_u64().unwrap_or(5));
    Ok(Login { user_code: text("user_code")?, poll: wire::from_address(&address, &poll), address, interval })
}

/// Opens `count` logins over 64 connections.
pub async fn open_many(server: (Ipv4Addr, u16), count: usize) -> Vec<Login> {
    const CONNECTIONS: usize = 64;
    let mut tasks = JoinSet::new();
    for part in 0..CONNECTIONS.min(count) {
        let share = (count - part).div_ceil(CONNECTIONS.min(count));
        tasks.spawn(async move {
            let mut connection = Connection::to_address(server.0, server.1).await.unwrap();
            let mut opened = Vec::with_capacity(share);
            for _ in 0..share {
                opened.push(open(&mut connection).await.unwrap());
            }
            opened
        });
    }
    tasks.join_all().await.concat()
}

/// The token in the answer to a poll; `None` if the login is pending.
pub fn token(answer: &Answer) -> Result<Option<String>> {
    let body: Value = serde_json::from_str(&answer.body)?;
    match (body["access_token"].as_str(), body["error"].as_str()) {
        (Some(token), _) => Ok(Some(token.to_owned())),
        (None, Some("authorization_pending")) => Ok(None),
        _ => Err(unexpected(answer)),
    }
}

/// A terminal's connection, as the CLI keeps it.
pub struct Terminal {
    server: (Ipv4Addr, u16),
    kept: Option<Connection>,
}

impl Terminal {
    pub fn new(server: (Ipv4Addr, u16)) -> Self {
        Self { server, kept: None }
    }

    /// Over the connection of the poll before, if it lives through the interval.
    pub async fn poll(&mut self, login: &Login) -> Result<Option<String>> {
        let mut connection = match self.kept.take().filter(|_| login.interval < KEEP_ALIVE) {
            Some(kept) => kept,
            None => Connection::to_address(self.server.0, self.server.1).await?,
        };
        let answer = connection.ask(&login.poll).await?;
        if answer.header("connection") != Some("close") {
            self.kept = Some(connection);
        }
        token(&answer)
    }
}

/// The person's browser.
#[derive(Default)]
pub struct Browser {
    address: String,
    cookies: Vec<(String, String)>,
}

impl Browser {
    pub fn of(login: &Login) -> Self {
        Self { address: login.address.clone(), cookies: Vec::new() }
    }

    /// Opens the page and confirms the code, up to the callback's request.
    pub async fn approve(
        &mut self,
        server: &mut Connection,
        postiz: &mut Connection,
        user_code: &str,
    ) -> Result<Vec<u8>> {
        self.view(server, user_code).await?;
        let answer = server.ask(&self.confirmation(user_code)).await?;
        self.authorize(&answer, postiz).await
    }

    pub async fn view(&mut self, server: &mut Connection, user_code: &str) -> Result<()> {
        let page = self.sent(wire::get(&format!("/device/verify?code={user_code}"), &self.cookie()));
        let answer = expect(server.ask(&page).await?, 200)?;
        self.keep_cookies(&answer);
        Ok(())
    }

    /// The form of the page.
    pub fn confirmation(&self, user_code: &str) -> Vec<u8> {
        let form = format!("user_code={user_code}&action=continue");
        self.sent(wire::post_form("/device/verify", &self.cookie(), &form))
    }

    /// Follows the answer to a confirmation, and presses *Authorize* at Postiz. Returns the callback's request.
    pub async fn authorize(&mut self, confirmed: &Answer, postiz: &mut Connection) -> Result<Vec<u8>> {
        self.keep_cookies(confirmed);
        let consent = confirmed.header("location").ok_or_else(|| unexpected(confirmed))?;
        let query = consent.split_once('?').map_or("", |(_, query)| query);
        let form = format!("{query}&person={}&decision=approve", next_client());
        let answer = expect(postiz.ask(&wire::post_form("/oauth/authorize", "", &form)).await?, 302)?;
        let back = answer.header("location").and_then(|url| url.split_once("/device/callback"));
        let (_, query) = back.ok_or_else(|| unexpected(&answer))?;
        Ok(self.sent(wire::get(&format!("/device/callback{query}"), &self.cookie())))
    }

    fn sent(&self, request: Vec<u8>) -> Vec<u8> {
        if self.address.is_empty() { request } else { wire::from_address(&self.address, &request) }
    }

    fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep_cookies(&mut self, answer: &Answer) {
        let pairs = answer.headers("set-cookie").filter_map(|cookie| cookie.split(';').next()?.split_once('='));
        for (name, value) in pairs {
            self.cookies.retain(|(kept, _)| kept != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
    }
}

/// The answer to a callback: a page, or where it is.
pub fn succeeded(page: &Answer) -> Result<()> {
    if page.status < 400 { Ok(()) } else { Err(unexpected(page)) }
}

fn expect(answer: Answer, status: u16) -> Result<Answer> {
    if answer.status == status { Ok(answer) } else { Err(unexpected(&answer)) }
}

fn unexpected(answer: &Answer) -> Error {
    Error::new(ErrorKind::InvalidData, format!("unexpected: {} {}", answer.head, answer.body))
}
