//! Registers a public client at Postiz for one grant (RFC 7591).
//!
//! Postiz's tokens belong to (client, user, organization), so a client of its own keeps a grant from ending the token of
//! another one. The client's name is what people see on Postiz's consent page.

use std::net::IpAddr;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{Instrument as _, error, trace_span};

use crate::grant::{PostizClientId, UserCode};
use crate::postiz::failure::{BUSY, REGISTERED, Reason, RegistrationError};
use crate::postiz::metadata::Endpoints;
use crate::postiz::transport::TransportError;
use crate::postiz::{Postiz, Registered};

/// All attempts together: a person waits for a page.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Before the retry of an attempt that did not reach Postiz.
const RETRY_DELAY: Duration = Duration::from_millis(300);
/// Looking whether Postiz still knows a client. If there is no answer by then, it probably does.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// By what people recognise a grant on Postiz's consent page and under *Approved Apps*: at most 100 characters, where Postiz
/// cuts it. `opened` is the time in UTC.
pub fn client_name(code: UserCode, opened: &str, requester: Option<IpAddr>) -> String {
    let from = requester.map(|address| format!(", {address}")).unwrap_or_default();
    format!("Postiz CLI, code {code}, {opened} UTC{from}")
}

impl Postiz {
    /// Registers a client with this name; takes at most 4 s.
    pub async fn register(&self, endpoints: &Endpoints, name: &str) -> Result<PostizClientId, RegistrationError> {
        let begun = Instant::now();
        let registered = self.try_register(endpoints, name).instrument(trace_span!("register", otel.kind = "client"));
        let answer = match self.registering.try_acquire() {
            Ok(_permit) => registered.await.map_err(RegistrationError::Failed),
            Err(_) => Err(RegistrationError::Busy),
        };
        let outcome = match &answer {
            Ok(_) => REGISTERED,
            Err(RegistrationError::Busy) => BUSY,
            Err(RegistrationError::Failed(reason)) => reason.into(),
        };
        self.registrations.ended(outcome, begun.elapsed());
        answer
    }

    /// Whether Postiz still accepts a client that was registered for this server's callback.
    pub async fn still_knows(&self, client: &PostizClientId) -> bool {
        let deadline = Instant::now() + LOOK_TIMEOUT;
        let look = timeout_at(deadline, self.registered(client.as_str())).await;
        !matches!(look, Ok(Ok(Registered::NoApp | Registered::OtherCallback)))
    }

    async fn try_register(&self, endpoints: &Endpoints, name: &str) -> Result<PostizClientId, Reason> {
        let deadline = Instant::now() + TIMEOUT;
        let mut is_retry = false;
        loop {
            match timeout_at(deadline, self.register_once(endpoints, name)).await.unwrap_or(Err(Reason::Slow)) {
                Err(Reason::Unreachable) if !is_retry && Instant::now() + RETRY_DELAY < deadline => {
                    is_retry = true;
                    sleep(RETRY_DELAY).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn register_once(&self, endpoints: &Endpoints, name: &str) -> Result<PostizClientId, Reason> {
        let Some(url) = &endpoints.registration else { return Err(Reason::RegistrationRefused) };
        let body = json!({
            "client_name": name,
            "redirect_uris": [self.callback_url.as_str()],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
        });
        let request =
            Request::builder().method(Method::POST).uri(url.as_str()).header(CONTENT_TYPE, "application/json");
        let request = request.body(body.to_string().into_bytes()).map_err(|_| Reason::RegistrationRefused)?;
        let answer = self.transport.send(request).await.map_err(|error| self.failed(error))?;
        if answer.status() != StatusCode::OK {
            return Err(self.refused(answer.body()));
        }
        read(answer.body()).ok_or(Reason::Unreadable)
    }

    fn failed(&self, error: TransportError) -> Reason {
        match error {
            TransportError::Status(status) if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                error!(%status, fix = self.app_by_hand(), "Postiz refused to register a client");
                Reason::RegistrationRefused
            }
            other => other.into(),
        }
    }

    /// An error of RFC 7591 §3.2.2. `invalid_redirect_uri` mostly means that the operator of Postiz has to allow this host.
    fn refused(&self, body: &[u8]) -> Reason {
        let word = word(body);
        let fix = if word == "invalid_redirect_uri" {
            format!("Add this server's host to DCR_VERIFIED_DOMAINS at Postiz. Or make an app: {}", self.app_by_hand())
        } else {
            self.app_by_hand()
        };
        error!(error = word, fix, "Postiz refused to register a client");
        Reason::RegistrationRefused
    }
}

/// The error's word, which the transport has found to be one of lower-case letters.
fn word(body: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    struct Refusal {
        error: String,
    }
    serde_json::from_slice::<Refusal>(body).unwrap_or_default().error
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

    #[test]
    fn a_name_begins_with_the_code_and_fits_into_100_characters() {
        let code: UserCode = "BCDF-GHJK".parse().unwrap();
        let name = |requester: Option<&str>| {
            client_name(code, "2026-11-25 22:48", requester.map(|address| address.parse().unwrap()))
        };
        assert_eq!(name(Some("203.0.113.7")), "Postiz CLI, code BCDF-GHJK, 2026-11-25 22:48 UTC, 203.0.113.7");
        assert_eq!(name(None), "Postiz CLI, code BCDF-GHJK, 2026-11-25 22:48 UTC");
        let longest = name(Some("2001:db8:85a3:1234:5678:8a2e:1370:7334"));
        assert!(longest.ends_with("7334") && longest.chars().count() <= 100, "{longest}");
    }

    #[test]
    fn an_answer_without_a_client_id_is_no_client() {
        assert_eq!(read(br#"{"client_id":"pcd_x","client_secret":"s"}"#).unwrap().as_str(), "pcd_x");
        for body in ["", "{}", r#"{"client_id":""}"#, r#"{"client_id":7}"#, r#"{"client_id":"a b"}"#] {
            assert!(read(body.as_bytes()).is_none(), "{body}");
        }
    }
}
