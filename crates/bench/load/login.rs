//! One login: its terminal and its person, on persistent connections.

use std::io::{Error, ErrorKind, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::wire::{self, Answer, Connection};

/// Each login has a person of its own at the stand-in.
static PEOPLE: AtomicUsize = AtomicUsize::new(1);

#[derive(Debug, Clone)]
pub struct Login {
    pub user_code: String,
    pub device_code: String,
    /// A poll as the CLI sends it.
    pub poll: Vec<u8>,
    /// Between two polls.
    pub interval: Duration,
}

/// What an answer to a poll does to the CLI.
#[derive(Debug)]
pub enum Polled {
    Token(String),
    Pending,
    Expired,
    /// The CLI prints it and ends the login.
    Failed(String),
    /// The body is not JSON: the CLI polls again.
    Unreadable,
}

/// A login whose person has pressed Authorize.
#[derive(Debug)]
pub struct Approved {
    /// The request to the callback, to be sent by the browser.
    pub callback: Vec<u8>,
}

/// `POST /device/code` as the CLI sends it.
pub fn open_request() -> Vec<u8> {
    wire::post_json("/device/code", "")
}

pub async fn open(server: &mut Connection) -> Result<Login> {
    let answer = expect(server.ask(&open_request()).await?, 200)?;
    let body: Value = serde_json::from_str(&answer.body)?;
    let text = |name: &str| body[name].as_str().map(str::to_owned).ok_or_else(|| unexpected(&answer));
    let device_code = text("device_code")?;
    // The CLI reads a missing interval as 5.
    let interval = Duration::from_secs(body["interval"].as_u64().unwrap_or(5));
    Ok(Login { user_code: text("user_code")?, poll: poll_request(&device_code), device_code, interval })
}

/// `POST /device/token` as the CLI sends it.
pub fn poll_request(device_code: &str) -> Vec<u8> {
    wire::post_json("/device/token", &format!(r#"{{"device_code":"{device_code}"}}"#))
}

/// The token in the answer to a poll; `None` if the login is pending.
pub fn token(answer: &Answer) -> Result<Option<String>> {
    match polled(answer) {
        Polled::Token(token) => Ok(Some(token)),
        Polled::Pending => Ok(None),
        Polled::Expired | Polled::Failed(_) | Polled::Unreadable => Err(unexpected(answer)),
    }
}

pub fn polled(answer: &Answer) -> Polled {
    let Ok(body) = serde_json::from_str::<Value>(&answer.body) else { return Polled::Unreadable };
    match (body["access_token"].as_str(), body["error"].as_str()) {
        (Some(token), _) => Polled::Token(token.to_owned()),
        (None, Some("authorization_pending")) => Polled::Pending,
        (None, Some("expired_token")) => Polled::Expired,
        _ => Polled::Failed(format!("{} {}", answer.status, answer.body)),
    }
}

/// The person opens the page, confirms, and presses Authorize at Postiz.
pub async fn approve(server: &mut Connection, postiz: &mut Connection, user_code: &str) -> Result<Approved> {
    let page = wire::get(&format!("/device/verify?code={user_code}"), "");
    expect(server.ask(&page).await?, 200)?;
    let form = format!("user_code={user_code}&action=continue");
    let answer = server.ask(&wire::post_form("/device/verify", "", &form)).await?;
    let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next()).unwrap_or_default().to_owned();
    let consent = answer.header("location").ok_or_else(|| unexpected(&answer))?;
    let query = consent.split_once('?').map_or("", |(_, query)| query);

    let person = PEOPLE.fetch_add(1, Ordering::Relaxed);
    let form = format!("{query}&person={person}&decision=approve");
    let answer = expect(postiz.ask(&wire::post_form("/oauth/authorize", "", &form)).await?, 302)?;
    let back = answer.header("location").and_then(|url| url.split_once("/device/callback"));
    let (_, query) = back.ok_or_else(|| unexpected(&answer))?;
    Ok(Approved { callback: wire::get(&format!("/device/callback{query}"), &cookie) })
}

pub fn expect(answer: Answer, status: u16) -> Result<Answer> {
    if answer.status == status { Ok(answer) } else { Err(unexpected(&answer)) }
}

fn unexpected(answer: &Answer) -> Error {
    Error::new(ErrorKind::InvalidData, format!("unexpected: {} {}", answer.head, answer.body))
}
