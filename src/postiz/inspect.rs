//! What can be learnt of our app at Postiz without a person: for `check`.

use http::StatusCode;
use oauth2::PkceCodeChallenge;
use serde::Deserialize;

use crate::grant::{BrowserKey, UserCode};
use crate::outbound;
use crate::postiz::{ExchangeError, Postiz, Reason};

/// The authorization code with which the client secret is tried out. Postiz issues none like it, and
/// looks at the secret first.
pub const MADE_UP_CODE: &str = "made-up-by-postiz-auth-server-check";

/// What Postiz knows of the client id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// An app with this callback.
    App {
        /// As it is written there.
        callback: String,
    },
    /// An app that may not use our callback; Postiz does not say which one it has.
    OtherCallback,
    /// No app.
    NoApp,
}

/// Why Postiz told nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// No connection, or none that lasted; with the cause.
    Unreachable(String),
    /// An answer that Postiz's API does not give, by its status.
    NotTheApi(u16),
    /// Postiz itself failed, by its status.
    Failed(u16),
}

impl Postiz {
    /// What is registered for our client id; what a dynamically registered app demands is sent along.
    pub async fn registered(&self) -> Result<Registered, Silence> {
        let mut url = self.app_url.clone();
        url.query_pairs_mut()
            .append_pair("client_id", self.client.client_id())
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", self.client.redirect_uri().map(|uri| uri.as_str()).unwrap_or_default())
            .append_pair("code_challenge", PkceCodeChallenge::new_random_sha256().0.as_str())
            .append_pair("code_challenge_method", "S256");
        let answer =
            self.transport.0.get(url).send().await.map_err(|error| Silence::Unreachable(outbound::cause(error)))?;
        let status = answer.status();
        let body = outbound::body(answer).await.map_err(Silence::Unreachable)?;
        read(status, &body)
    }

    /// Whether Postiz takes our client secret; nothing is exchanged.
    pub async fn takes_secret(&self) -> Result<bool, ExchangeError> {
        let browser = BrowserKey::random();
        let state = browser.state(UserCode::random());
        match self.try_exchange(MADE_UP_CODE, &browser, &state).await {
            Err(ExchangeError { reason: Reason::CodeRefused, .. }) => Ok(true),
            Err(ExchangeError { reason: Reason::ClientRefused, .. }) => Ok(false),
            Err(other) => Err(other),
            // Only a Postiz that takes any code would say so.
            Ok(_) => Err(ExchangeError { reason: Reason::Unreadable, spent: true }),
        }
    }

    /// The status of the front end's first page; people may reach it where this machine does not.
    pub async fn front_end(&self) -> Result<StatusCode, Silence> {
        let answer = self.transport.0.get(self.frontend_url.clone()).send().await;
        answer.map(|answer| answer.status()).map_err(|error| Silence::Unreachable(outbound::cause(error)))
    }
}

fn read(status: StatusCode, body: &[u8]) -> Result<Registered, Silence> {
    #[derive(Deserialize)]
    struct Answer {
        app: App,
    }
    #[derive(Deserialize)]
    struct App {
        #[serde(rename = "redirectUrl")]
        redirect_url: String,
    }
    #[derive(Deserialize)]
    struct Refusal {
        message: serde_json::Value,
    }
    let refusal = || serde_json::from_slice::<Refusal>(body).ok().map(|refusal| refusal.message.to_string());
    match status {
        StatusCode::OK => match serde_json::from_slice::<Answer>(body) {
            Ok(answer) => Ok(Registered::App { callback: answer.app.redirect_url }),
            Err(_) => Err(Silence::NotTheApi(200)),
        },
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED => match refusal() {
            Some(message) if message.contains("client_id") => Ok(Registered::NoApp),
            Some(message) if message.contains("redirect_uri") => Ok(Registered::OtherCallback),
            _ => Err(Silence::NotTheApi(status.as_u16())),
        },
        failed if failed.is_server_error() => Err(Silence::Failed(failed.as_u16())),
        other => Err(Silence::NotTheApi(other.as_u16())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postiz_says_of_an_app_is_told_from_what_others_answer() {
        for (status, body, expected) in [
            (
                200,
                r#"{"app":{"redirectUrl":"https://a/b"}}"#,
                Ok(Registered::App { callback: "https://a/b".to_owned() }),
            ),
            (400, r#"{"message":"Invalid client_id","statusCode":400}"#, Ok(Registered::NoApp)),
            (400, r#"{"message":["Invalid redirect_uri"]}"#, Ok(Registered::OtherCallback)),
            (404, r#"{"message":"Cannot GET /oauth/authorize"}"#, Err(Silence::NotTheApi(404))),
            (200, "<!doctype html>", Err(Silence::NotTheApi(200))),
            (307, "", Err(Silence::NotTheApi(307))),
            (502, "<html>", Err(Silence::Failed(502))),
        ] {
            assert_eq!(read(StatusCode::from_u16(status).unwrap(), body.as_bytes()), expected, "{status} {body}");
        }
    }
}
