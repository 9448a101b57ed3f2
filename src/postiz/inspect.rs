//! Looks at the app at Postiz without a person, for `check`.

use oauth2::{ClientSecret, PkceCodeChallenge};
use serde::Deserialize;
use url::Url;

use crate::outbound::{Answer, NoAnswer, ask, ask_head};
use crate::postiz::failure::{Failure, Reason};
use crate::postiz::{Endpoints, Postiz};
use crate::secret::Secret;

/// The authorization code with which the client secret is tested, and a secret that no app has. Postiz issues no such code, and
/// verifies the secret first.
const MADE_UP_CODE: &str = "made-up-by-postiz-auth-server-check";

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
        read(&ask(self.transport.0.get(url)).await?)
    }

    /// Tries the client secret, and a made-up one if that may be right as well. Exchanges nothing.
    pub async fn judge_secret(&self) -> Result<SecretVerdict, Failure> {
        let Err(failure) = self.try_exchange(None, MADE_UP_CODE, &Secret::random()).await else {
            // Only a Postiz that takes any code would say so.
            return Err(Failure::plain(Reason::Unreadable));
        };
        match failure.reason {
            Reason::CodeRefused if self.takes_any_secret().await => Ok(SecretVerdict::Ignored),
            Reason::CodeRefused => Ok(SecretVerdict::Right),
            Reason::ClientRefused => Ok(SecretVerdict::Wrong),
            _ => Err(failure),
        }
    }

    async fn takes_any_secret(&self) -> bool {
        let Some(client) = self.client(None) else { return false };
        let client = client.set_client_secret(ClientSecret::new(MADE_UP_CODE.to_owned()));
        let answer = self.exchange_once(&client, MADE_UP_CODE, &Secret::random()).await;
        answer.is_err_and(|failure| failure.reason == Reason::CodeRefused)
    }

    /// Opens the front end's first page as a browser does, and returns the other origin that it leads to, if it does. People
    /// may reach it even if this machine does not.
    pub async fn leads_elsewhere(&self, endpoints: &Endpoints) -> Result<Option<String>, NoAnswer> {
        let mut url = Url::parse(endpoints.front_end()).unwrap_or_else(|_| endpoints.authorization.clone());
        for _ in 0..MAX_REDIRECTS {
            let answer = ask_head(self.transport.0.get(url.clone())).await?;
            let to = answer.header("location").filter(|_| answer.status.is_redirection());
            match to.and_then(|to| url.join(to).ok()) {
                Some(to) if to.origin() == url.origin() => url = to,
                Some(to) => return Ok(Some(to.origin().ascii_serialization())),
                None if answer.status.is_server_error() => return Err(NoAnswer::Odd(answer.odd())),
                None => break,
            }
        }
        Ok(None)
    }
}

fn read(answer: &Answer) -> Result<Registered, NoAnswer> {
    #[derive(Deserialize)]
    struct Found {
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
    let found = serde_json::from_slice::<Found>(&answer.body).ok();
    let refusal = serde_json::from_slice::<Refusal>(&answer.body).ok().map(|refusal| refusal.message.to_string());
    // "Cannot GET /v1/oauth/authorize?client_id=.." is the framework's word for a wrong path.
    let refusal = refusal.filter(|message| !message.contains("Cannot GET"));
    match (answer.status.as_u16(), found, refusal) {
        (200, Some(found), _) => Ok(Registered::App { callback: found.app.redirect_url }),
        (400 | 401 | 404, _, Some(message)) if message.contains("client_id") => Ok(Registered::NoApp),
        (400 | 401 | 404, _, Some(message)) if message.contains("redirect_uri") => Ok(Registered::OtherCallback),
        _ => Err(NoAnswer::Odd(answer.odd())),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;

    #[test]
    fn answers_of_postiz_differ_from_those_of_other_servers() {
        for (status, body, expected) in [
            (
                200,
                r#"{"app":{"redirectUrl":"https://a/b"}}"#,
                Some(Registered::App { callback: "https://a/b".to_owned() }),
            ),
            (400, r#"{"message":"Invalid client_id","statusCode":400}"#, Some(Registered::NoApp)),
            (400, r#"{"message":["Invalid redirect_uri"]}"#, Some(Registered::OtherCallback)),
            (404, r#"{"message":"Cannot GET /v1/oauth/authorize?client_id=x&redirect_uri=y"}"#, None),
            (200, "<!doctype html>", None),
            (307, "", None),
            (502, "<html>", None),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() };
            assert_eq!(read(&answer).ok(), expected, "{status} {body}");
        }
    }
}
