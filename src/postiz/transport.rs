//! HTTP to Postiz, with its answers made standard, and why a request brought nothing: a [`Reason`] for the caller, and a
//! sentence for the operator.
//!
//! Postiz answers a success with 201, and its framework's errors look like OAuth's. So any 2xx becomes 200 with JSON, and an
//! error is passed on only if it has the form of RFC 6749 §5.2. Everything else becomes a [`NoAnswer`], which holds nothing of
//! the body.
//!
//! Postiz spends a code even if its answer is lost, and of two concurrent exchanges both can seem to succeed. So a request is
//! retried only if it certainly did not reach Postiz.

use std::pin::Pin;
use std::time::Duration;

use oauth2::basic::BasicErrorResponse;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse, http};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Request, RequestBuilder, StatusCode};
use strum::{IntoStaticStr, VariantNames};
use tokio::time::{Instant, sleep, timeout_at};

use crate::outbound::{Answer, NoAnswer, ask};

/// Of an exchange with all its attempts. The person sees a page soon after.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_DELAY: Duration = Duration::from_millis(500);

pub(super) struct Transport(pub(super) Client);

impl Transport {
    /// `limit` is for all attempts together.
    pub(super) async fn send(&self, request: HttpRequest, limit: Duration) -> Result<HttpResponse, NoAnswer> {
        let deadline = Instant::now() + limit;
        loop {
            let attempt = RequestBuilder::from_parts(self.0.clone(), Request::try_from(request.clone())?);
            match timeout_at(deadline, ask(attempt)).await.unwrap_or(Err(NoAnswer::Slow)) {
                Err(NoAnswer::Unreachable(_)) if Instant::now() + RETRY_DELAY < deadline => sleep(RETRY_DELAY).await,
                answer => return standard(answer?),
            }
        }
    }
}

fn standard(answer: Answer) -> Result<HttpResponse, NoAnswer> {
    let status = match answer.status {
        success if success.is_success() => StatusCode::OK,
        error if oauth_error(&answer.body).is_some() => error,
        _ => return Err(answer.odd()),
    };
    let mut response = http::Response::new(answer.body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// An error whose word is like those of RFC 6749 §5.2 and RFC 7591 §3.2.2, not a framework's "Bad Request".
pub(super) fn oauth_error(body: &[u8]) -> Option<BasicErrorResponse> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    serde_json::from_slice(body).ok().filter(|error: &BasicErrorResponse| is_word(error.error().as_ref()))
}

impl<'c> AsyncHttpClient<'c> for Transport {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request, EXCHANGE_TIMEOUT))
    }
}

/// Why an exchange or a registration failed. The names are a label's values in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantNames, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    #[error("Postiz can't be reached")]
    Unreachable,
    #[error("Postiz did not answer in time")]
    Slow,
    /// Postiz failed, or the connection broke.
    #[error("Postiz failed to answer")]
    Failed,
    /// Postiz refused our client id or secret: the operator has to act.
    #[error("Postiz refused POSTIZ_OAUTH_CLIENT_ID or POSTIZ_OAUTH_CLIENT_SECRET")]
    ClientRefused,
    /// Postiz no longer knows the client that was registered for this grant.
    #[error("Postiz has forgotten the client of this grant")]
    ClientForgotten,
    /// Postiz refused to register a client: the operator has to act.
    #[error("Postiz refused to register a client")]
    RegistrationRefused,
    /// Postiz refused the code: it is used, too old, or not ours.
    #[error("Postiz refused the authorization code")]
    CodeRefused,
    /// The answer was a success without what it should hold.
    #[error("Postiz's answer can't be read")]
    Unreadable,
}

impl Reason {
    /// Whether Postiz rejects the code from now on; otherwise it may still be good.
    pub fn spends_code(self) -> bool {
        matches!(self, Self::CodeRefused | Self::ClientForgotten | Self::Unreadable)
    }
}

/// A reason with its cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Failure {
    pub reason: Reason,
    /// "Postiz answers with status 502". Holds no secret.
    pub cause: String,
}

impl Failure {
    /// Of a refusal. Its description is left out if it repeats a secret that was sent.
    pub(super) fn refused(reason: Reason, refusal: &BasicErrorResponse, sent: &[&str]) -> Self {
        /// The longest description that is shown: a sentence.
        const SHOWN_CHARS: usize = 200;
        let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect::<String>();
        let description = refusal.error_description().filter(|text| !sent.iter().any(|secret| text.contains(secret)));
        let description = description.map(|text| format!(" ({})", plain(text))).unwrap_or_default();
        Self { reason, cause: format!("Postiz says {}{description}", plain(refusal.error().as_ref())) }
    }

    /// Without an answer of its own to quote.
    pub(super) fn plain(reason: Reason) -> Self {
        Self { reason, cause: reason.to_string() }
    }
}

impl From<NoAnswer> for Failure {
    fn from(no_answer: NoAnswer) -> Self {
        let reason = match &no_answer {
            NoAnswer::Unreachable(_) => Reason::Unreachable,
            NoAnswer::Slow => Reason::Slow,
            NoAnswer::Broken { status, .. } if status.is_some_and(|status| status.is_success()) => Reason::Unreadable,
            NoAnswer::Broken { .. } | NoAnswer::Odd { .. } => Reason::Failed,
        };
        Self { reason, cause: format!("Postiz {no_answer}") }
    }
}

#[cfg(test)]
mod tests {
    use oauth2::basic::BasicErrorResponseType;
    use reqwest::header::HeaderMap;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn answers_are_made_standard() {
        let created = standard(answer(201, "{}")).expect("a success");
        assert_eq!(created.status(), StatusCode::OK);
        let refused = standard(answer(400, r#"{"error":"invalid_grant"}"#)).expect("an OAuth error");
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn answers_other_than_oauth_are_not_passed_on() {
        for (status, body) in [
            (400, r#"{"message":["x"],"error":"Bad Request","statusCode":400}"#),
            (502, "<html>502</html>"),
            (500, ""),
            (307, ""),
        ] {
            let odd = standard(answer(status, body)).unwrap_err();
            assert_eq!(odd.to_string(), format!("answers with status {status}"));
        }
    }

    #[test]
    fn a_refusal_is_quoted_unless_it_repeats_what_was_sent() {
        let cause = |description: Option<&str>| {
            let description = description.map(str::to_owned);
            let refusal = BasicErrorResponse::new(BasicErrorResponseType::InvalidGrant, description, None);
            Failure::refused(Reason::CodeRefused, &refusal, &["the-code"]).cause
        };
        assert_eq!(cause(Some("redirect_uri\ndiffers")), "Postiz says invalid_grant (redirect_uridiffers)");
        assert_eq!(cause(Some("no code the-code")), "Postiz says invalid_grant");
        assert_eq!(cause(None), "Postiz says invalid_grant");
    }
}
