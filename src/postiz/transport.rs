//! HTTP to Postiz, with its answers made standard.
//!
//! Any 2xx becomes 200 with JSON. An error body is passed on only if it has the form of RFC 6749 §5.2. Everything else
//! becomes a [`TransportError`], which holds nothing of the answer.

use std::pin::Pin;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::outbound;

/// Why there is no answer to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TransportError {
    #[error("no connection: the request was not sent")]
    NotSent,
    #[error("no answer in time")]
    Timeout,
    #[error("the connection broke before the answer's first line")]
    Broken,
    #[error("the answer broke off or was too long (status {0})")]
    Incomplete(StatusCode),
    #[error("not an OAuth answer (status {0})")]
    Status(StatusCode),
}

pub(super) struct Transport(pub(super) reqwest::Client);

impl Transport {
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let request = reqwest::Request::try_from(request).map_err(|_| TransportError::NotSent)?;
        let answer = self.0.execute(request).await.map_err(|error| failure(&error))?;
        let status = answer.status();
        let body = outbound::body(answer).await.map_err(|_| TransportError::Incomplete(status))?;
        standard(status, body)
    }
}

fn failure(error: &reqwest::Error) -> TransportError {
    if error.is_connect() {
        TransportError::NotSent
    } else if error.is_timeout() {
        TransportError::Timeout
    } else {
        TransportError::Broken
    }
}

fn standard(status: StatusCode, body: Vec<u8>) -> Result<HttpResponse, TransportError> {
    let status = match status {
        success if success.is_success() => StatusCode::OK,
        error if is_oauth_error(&body) => error,
        other => return Err(TransportError::Status(other)),
    };
    http::Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(|_| TransportError::Status(status))
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
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, TransportError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_made_standard() {
        let created = standard(StatusCode::CREATED, b"{}".to_vec()).expect("a success");
        assert_eq!(created.status(), StatusCode::OK);
        let refused =
            standard(StatusCode::BAD_REQUEST, br#"{"error":"invalid_grant"}"#.to_vec()).expect("an OAuth error");
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn answers_other_than_oauth_are_not_passed_on() {
        for (status, body) in [
            (StatusCode::BAD_REQUEST, r#"{"message":["x"],"error":"Bad Request","statusCode":400}"#),
            (StatusCode::BAD_GATEWAY, "<html>502</html>"),
            (StatusCode::INTERNAL_SERVER_ERROR, ""),
            (StatusCode::TEMPORARY_REDIRECT, ""),
        ] {
            assert_eq!(standard(status, body.into()).err(), Some(TransportError::Status(status)));
        }
    }
}
