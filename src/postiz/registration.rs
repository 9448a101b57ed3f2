//! Registers a public client at Postiz for one grant (RFC 7591).
//!
//! Postiz's tokens belong to (client, user, organization), so a client of its own keeps a grant from ending the token of
//! another one. The client's name is what people see on Postiz's consent page. A client that nobody uses costs nothing: Postiz
//! deletes it after 30 days. So an attempt may be repeated, and the caller limits how many there are.

use std::net::IpAddr;
use std::time::Duration;

use oauth2::http::Request;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use tracing::{error, warn};

use crate::grant::{PostizClientId, UserCode};
use crate::outbound::NoAnswer;
use crate::postiz::{Failure, Postiz, REGISTERED, Reason, oauth_error, send};

/// All attempts together: a person waits for a page.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Where Postiz cuts a client's name.
const MAX_NAME_CHARS: usize = 100;

/// By what people recognise a grant on Postiz's consent page and under *Approved Apps*. `opened` is the time in UTC, `name` what
/// the client calls itself. A name that is too long is cut: the code and the address are not.
pub fn client_name(code: UserCode, opened: &str, requester: Option<IpAddr>, name: Option<&str>) -> String {
    // On a phone, a hyphen that breaks would divide the code.
    let code = code.to_string().replace('-', "\u{2011}");
    let from = requester.map(|address| format!(", {address}")).unwrap_or_default();
    let rest = format!(", code {code}, {opened} UTC{from}");
    let Some(name) = name else { return format!("Postiz CLI{rest}") };
    let room = MAX_NAME_CHARS.saturating_sub(rest.chars().count() + "“”".chars().count());
    let name: String = match name.char_indices().nth(room) {
        Some(_) => name.chars().take(room.saturating_sub(1)).chain(['…']).collect(),
        None => name.to_owned(),
    };
    format!("“{name}”{rest}")
}

impl Postiz {
    /// Registers a client with this name; takes at most 4 s.
    pub async fn register(&self, name: &str) -> Result<PostizClientId, Reason> {
        let start = Instant::now();
        let answer = self.try_register(name).await;
        let outcome = answer.as_ref().map_or_else(|failure| failure.reason.into(), |_| REGISTERED);
        self.registrations.ended(outcome, start.elapsed());
        answer.map_err(|Failure { reason, cause }| {
            if reason == Reason::RegistrationRefused {
                error!(error = cause, fix = self.fix(), "Postiz refused to register a client");
            } else {
                warn!(error = cause, "no client from Postiz");
            }
            reason
        })
    }

    /// Without metrics. The address is the API's own, as for exchanges: an internal network may not reach the public one, which
    /// the metadata names.
    pub async fn try_register(&self, name: &str) -> Result<PostizClientId, Failure> {
        let body = json!({
            "client_name": name,
            "redirect_uris": [self.callback_url.as_str()],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
        });
        let request = Request::post(self.api_url.join("/oauth/register").as_str())
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string().into_bytes())
            .map_err(|error| NoAnswer::Unreachable(error.to_string()))?;
        match send(self.http.clone(), request, TIMEOUT).await {
            Ok(answer) => match oauth_error(answer.body()) {
                Some(refusal) => Err(Failure::refused(Reason::RegistrationRefused, &refusal, &[])),
                None => read(answer.body()).ok_or_else(|| Failure::plain(Reason::Unreadable)),
            },
            Err(odd @ NoAnswer::Odd { status, .. })
                if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS =>
            {
                Err(Failure { reason: Reason::RegistrationRefused, cause: format!("Postiz {odd}") })
            }
            Err(no_answer) => Err(no_answer.into()),
        }
    }
}

/// A secret that came with a public client would be ignored.
fn read(body: &[u8]) -> Option<PostizClientId> {
    #[derive(Deserialize)]
    struct Client {
        client_id: String,
    }
    serde_json::from_slice::<Client>(body).ok()?.client_id.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENED: &str = "29 Nov 2026 22:48";

    fn name(requester: Option<&str>, name: Option<&str>) -> String {
        let requester = requester.map(|address| address.parse().unwrap());
        client_name("BCDF-GHJK".parse().unwrap(), OPENED, requester, name)
    }

    #[test]
    fn a_name_holds_the_code_in_one_piece_the_time_and_the_address() {
        let full = "Postiz CLI, code BCDF\u{2011}GHJK, 29 Nov 2026 22:48 UTC, 203.0.113.9";
        assert_eq!(name(Some("203.0.113.9"), None), full);
        assert_eq!(name(None, None), "Postiz CLI, code BCDF\u{2011}GHJK, 29 Nov 2026 22:48 UTC");
        assert!(
            name(Some("203.0.113.9"), Some("nightly-report")).starts_with("“nightly-report”, code BCDF\u{2011}GHJK")
        );
    }

    #[test]
    fn the_clients_own_name_is_cut_at_100_characters_and_nothing_else() {
        let longest = "2001:db8:85a3:1234:5678:8a2e:1370:7334";
        for (requester, own, shown) in [
            (Some(longest), "x".repeat(40), format!("“{}…”, code ", "x".repeat(18))),
            (Some("203.0.113.199"), "x".repeat(40), format!("“{}”, code ", "x".repeat(40))),
            (None, "é".repeat(80), format!("“{}…”, code ", "é".repeat(58))),
        ] {
            let name = name(requester, Some(&own));
            assert!(name.starts_with(&shown) && name.ends_with(requester.unwrap_or("UTC")), "{name}");
            assert!(name.chars().count() <= 100, "{name}");
        }
        assert!(name(Some(longest), None).chars().count() <= 100);
    }

    #[test]
    fn an_answer_without_a_client_id_is_no_client() {
        assert_eq!(read(br#"{"client_id":"pcd_x","client_secret":"s"}"#).unwrap().as_str(), "pcd_x");
        for body in ["", "{}", r#"{"client_id":""}"#, r#"{"client_id":7}"#, r#"{"client_id":"a b"}"#] {
            assert!(read(body.as_bytes()).is_none(), "{body}");
        }
    }
}
