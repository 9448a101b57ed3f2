//! Looks at the app at Postiz without a person, for `check`.

use http::StatusCode;
use http::header::LOCATION;
use oauth2::basic::BasicErrorResponseType;
use oauth2::{AuthorizationCode, ClientSecret, PkceCodeChallenge, RequestTokenError};
use serde::Deserialize;
use url::Url;

use crate::config::BaseUrl;
use crate::grant::{BrowserKey, UserCode};
use crate::outbound;
use crate::postiz::no_answer::NoAnswer;
use crate::postiz::{Endpoints, Postiz, Reason};

/// The authorization code with which the client secret is tested. Postiz issues no such code, and verifies the secret first.
pub const MADE_UP_CODE: &str = "made-up-by-postiz-auth-server-check";

/// No client has it.
const MADE_UP_SECRET: &str = "made-up-by-postiz-auth-server-check";
/// Of the front end to itself, such as to its sign-in page.
const MAX_REDIRECTS: usize = 5;

/// What is registered for the client id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    App {
        callback: String,
    },
    /// An app with another callback, which Postiz does not tell.
    OtherCallback,
    NoApp,
}

/// What Postiz says of the client secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretVerdict {
    Right,
    Wrong,
    /// A public client, for which Postiz takes any secret.
    Ignored,
}

/// Where the front end's first page leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrontEnd {
    /// It stays at its origin; with the last status.
    Here(StatusCode),
    /// To another origin.
    Elsewhere(String),
}

impl Postiz {
    /// Sends what a dynamically registered client requires, too.
    pub async fn registered(&self, client_id: &str) -> Result<Registered, NoAnswer> {
        let mut url = self.api_url.join("/oauth/authorize");
        url.query_pairs_mut()
            .append_pair("client_id", client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", self.callback_url.as_str())
            .append_pair("code_challenge", PkceCodeChallenge::new_random_sha256().0.as_str())
            .append_pair("code_challenge_method", "S256");
        let answer = self.transport.0.get(url).send().await.map_err(NoAnswer::unreachable)?;
        let status = answer.status();
        let body = outbound::body(answer).await.map_err(|error| NoAnswer::broken(&error))?;
        read(status, &body)
    }

    /// Tries the client secret, and a made-up one if that may be right as well. Exchanges nothing.
    pub async fn judge_secret(&self) -> Result<SecretVerdict, Reason> {
        let browser = BrowserKey::random();
        let state = browser.state(UserCode::random());
        match self.try_exchange(None, MADE_UP_CODE, &browser, &state).await {
            Err(Reason::CodeRefused) if self.takes_any_secret().await => Ok(SecretVerdict::Ignored),
            Err(Reason::CodeRefused) => Ok(SecretVerdict::Right),
            Err(Reason::ClientRefused) => Ok(SecretVerdict::Wrong),
            Err(other) => Err(other),
            // Only a Postiz that takes any code would say so.
            Ok(_) => Err(Reason::Unreadable),
        }
    }

    async fn takes_any_secret(&self) -> bool {
        let Some(client) = self.client(None) else { return false };
        let answer = client
            .set_client_secret(ClientSecret::new(MADE_UP_SECRET.to_owned()))
            .exchange_code(AuthorizationCode::new(MADE_UP_CODE.to_owned()))
            .set_pkce_verifier(PkceCodeChallenge::new_random_sha256().1)
            .request_async(&self.transport)
            .await;
        matches!(answer, Err(RequestTokenError::ServerResponse(error)) if *error.error() == BasicErrorResponseType::InvalidGrant)
    }

    /// Opens the front end's first page as a browser does. People may reach it even if this machine does not.
    pub async fn first_page(&self, endpoints: &Endpoints) -> Result<FrontEnd, NoAnswer> {
        let mut url = Url::parse(&endpoints.front_end()).unwrap_or_else(|_| endpoints.authorization.clone());
        let origin = url.origin();
        for _ in 0..MAX_REDIRECTS {
            let answer = self.transport.0.get(url.clone()).send().await;
            let answer = answer.map_err(NoAnswer::unreachable)?;
            let status = answer.status();
            let to = answer.headers().get(LOCATION).filter(|_| status.is_redirection());
            let Some(to) = to.and_then(|to| url.join(to.to_str().ok()?).ok()) else {
                return Ok(FrontEnd::Here(status));
            };
            if to.origin() != origin {
                return Ok(FrontEnd::Elsewhere(to.origin().ascii_serialization()));
            }
            url = to;
        }
        Ok(FrontEnd::Here(StatusCode::LOOP_DETECTED))
    }

    /// Where Postiz is in a browser, as its metadata has it; `None` for a Postiz without the document.
    pub async fn own_front_end(&self) -> Option<BaseUrl> {
        // Without POSTIZ_FRONTEND_URL, the endpoints come from the same document.
        self.needs.front_end.as_ref()?;
        self.published().await?.strip_suffix("/oauth/authorize")?.parse().ok()
    }
}

fn read(status: StatusCode, body: &[u8]) -> Result<Registered, NoAnswer> {
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
            Err(_) => Err(NoAnswer::NotTheApi(200)),
        },
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED => match refusal() {
            Some(message) if message.contains("client_id") => Ok(Registered::NoApp),
            Some(message) if message.contains("redirect_uri") => Ok(Registered::OtherCallback),
            _ => Err(NoAnswer::NotTheApi(status.as_u16())),
        },
        other => Err(NoAnswer::of_status(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_postiz_differ_from_those_of_other_servers() {
        for (status, body, expected) in [
            (
                200,
                r#"{"app":{"redirectUrl":"https://a/b"}}"#,
                Ok(Registered::App { callback: "https://a/b".to_owned() }),
            ),
            (400, r#"{"message":"Invalid client_id","statusCode":400}"#, Ok(Registered::NoApp)),
            (400, r#"{"message":["Invalid redirect_uri"]}"#, Ok(Registered::OtherCallback)),
            (404, r#"{"message":"Cannot GET /oauth/authorize"}"#, Err(NoAnswer::NotTheApi(404))),
            (200, "<!doctype html>", Err(NoAnswer::NotTheApi(200))),
            (307, "", Err(NoAnswer::NotTheApi(307))),
            (502, "<html>", Err(NoAnswer::Failed(502))),
        ] {
            assert_eq!(read(StatusCode::from_u16(status).unwrap(), body.as_bytes()), expected, "{status} {body}");
        }
    }
}
