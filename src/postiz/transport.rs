//! HTTP to Postiz, with its answers made standard.
//!
//! Postiz answers a success with 201, and its framework's errors look like OAuth's. So any 2xx becomes 200 with JSON, and an
//! error is passed on only if it has the form of RFC 6749 §5.2. Everything else becomes a [`NoAnswer`], which holds nothing of
//! the body.

use std::pin::Pin;

use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse, http};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Request, RequestBuilder, StatusCode};
use serde::Deserialize;

use crate::outbound::{Answer, NoAnswer, ask};

pub(super) struct Transport(pub(super) Client);

impl Transport {
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let request = Request::try_from(request)?;
        standard(ask(RequestBuilder::from_parts(self.0.clone(), request)).await?)
    }
}

fn standard(answer: Answer) -> Result<HttpResponse, NoAnswer> {
    let status = match answer.status {
        success if success.is_success() => StatusCode::OK,
        error if is_oauth_error(&answer.body) => error,
        _ => return Err(NoAnswer::Odd(answer.odd())),
    };
    let mut response = http::Response::new(answer.body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Whether `error` is one of the words of RFC 6749 §5.2, not a framework's "Bad Request".
fn is_oauth_error(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Shape {
        error: String,
    }
    serde_json::from_slice::<Shape>(body)
        .is_ok_and(|shape| !shape.error.is_empty() && shape.error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
}

impl<'c> AsyncHttpClient<'c> for Transport {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
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
