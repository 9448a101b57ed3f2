//! Looks at the app at Postiz without a person, for `check`.

use oauth2::PkceCodeChallenge;
use reqwest::StatusCode;
use serde_json::Value;

use crate::outbound::{Answer, NoAnswer, ask};
use crate::postiz::{Failure, Postiz, Reason};
use crate::secret::Secret;

/// Postiz issues no such code, and verifies the client secret first.
const MADE_UP_CODE: &str = "made-up-by-postiz-auth-server-check";

impl Postiz {
    /// The callback that is registered for the client id. `None`: Postiz knows no such client, or refuses our callback. Sends
    /// what a dynamically registered client requires, too.
    pub async fn registered(&self, client_id: &str) -> Result<Option<String>, NoAnswer> {
        let mut url = self.api_url.join("/oauth/authorize");
        url.query_pairs_mut()
            .append_pair("client_id", client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", self.callback_url.as_str())
            .append_pair("code_challenge", PkceCodeChallenge::new_random_sha256().0.as_str())
            .append_pair("code_challenge_method", "S256");
        read(&ask(self.http.get(url)).await?)
    }

    /// Tries the app's client id and secret. Exchanges nothing.
    pub async fn try_secret(&self) -> Result<(), Failure> {
        match self.try_exchange(None, MADE_UP_CODE, &Secret::random()).await {
            // Only a Postiz that takes any code would say so.
            Ok(_) => Err(Failure::plain(Reason::Unreadable)),
            Err(failure) if failure.reason == Reason::CodeRefused => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

fn read(answer: &Answer) -> Result<Option<String>, NoAnswer> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let message = body["message"].to_string();
    // "Cannot GET /v1/oauth/authorize?client_id=.." is the framework's word for a wrong path.
    let is_refusal =
        !message.contains("Cannot GET") && ["client_id", "redirect_uri"].iter().any(|word| message.contains(word));
    match (answer.status, body["app"]["redirectUrl"].as_str()) {
        (StatusCode::OK, Some(callback)) => Ok(Some(callback.to_owned())),
        (status, _) if status.is_client_error() && is_refusal => Ok(None),
        _ => Err(answer.odd()),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    #[test]
    fn answers_of_postiz_differ_from_those_of_other_servers() {
        for (status, body, expected) in [
            (200, r#"{"app":{"redirectUrl":"https://a/b"}}"#, Some(Some("https://a/b"))),
            (400, r#"{"message":"Invalid client_id","statusCode":400}"#, Some(None)),
            (400, r#"{"message":["Invalid redirect_uri"]}"#, Some(None)),
            (404, r#"{"message":"Cannot GET /v1/oauth/authorize?client_id=x&redirect_uri=y"}"#, None),
            (200, "<!doctype html>", None),
            (307, "", None),
            (502, "<html>", None),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() };
            let expected = expected.map(|callback| callback.map(str::to_owned));
            assert_eq!(read(&answer).ok(), expected, "{status} {body}");
        }
    }
}
