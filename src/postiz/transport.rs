//! HTTP to Postiz, with its answers made standard.
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

#[cfg(test)]
mod tests {
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
}
