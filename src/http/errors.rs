//! Errors for programs: the words of RFC 6749 §5.2 and RFC 8628 §3.5, as JSON.
//!
//! Every error description about a grant ends with its reference, which is also in the log.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;
use strum::IntoStaticStr;

use crate::grant::GrantId;

/// The `error` is the variant's name, if it names no other.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum ClientError {
    /// The head, the body or a parameter can't be used, or a web page sent the request.
    #[error("{1}")]
    InvalidRequest(StatusCode, &'static str),
    /// Not the device grant.
    #[error("grant_type has to be urn:ietf:params:oauth:grant-type:device_code")]
    UnsupportedGrantType,
    /// No grant has this device code.
    #[error("This device code is unknown. Start the login again.")]
    InvalidGrant,
    #[error("The login waits to be approved in the browser (reference {}).", .0.reference())]
    AuthorizationPending(GrantId),
    /// The same, and there was no room to hold this poll.
    #[error("The login waits to be approved in the browser (reference {}).", .0.reference())]
    #[strum(serialize = "authorization_pending")]
    NotHeld(GrantId),
    #[error("Keep to the interval between two polls (reference {}).", .0.reference())]
    SlowDown(GrantId),
    #[error("The login was denied in the browser (reference {}).", .0.reference())]
    AccessDenied(GrantId),
    #[error("The login has expired. Start it again (reference {}).", .0.reference())]
    ExpiredToken(GrantId),
    /// The terminal can't save its token; with the `error` that its client understands.
    #[error("This terminal has fetched its token too often. Save it, and start the login again (reference {}).", .0.reference())]
    NotSaved(GrantId, Cow<'static, str>),
    /// The stored token can't be opened, or a bug. Not 500: a proxy may replace its body, and the CLI polls on without one.
    #[error("The token of this login can't be delivered. Start the login again (reference {}).", .0.reference())]
    ServerError(GrantId),
    /// A bug.
    #[error("Something went wrong here. Try again in a moment.")]
    #[strum(serialize = "server_error")]
    Internal,
    /// With the seconds until the next attempt.
    #[error("The server can't do this right now. Try again in a moment.")]
    TemporarilyUnavailable(u64),
    /// This client has opened too many grants; with the seconds until it may again.
    #[error("Too many logins were started from your network. Try again in {0} s.")]
    #[strum(serialize = "temporarily_unavailable")]
    TooManyLogins(u64),
    /// As [`Self::InvalidGrant`], and this client has polled too many unknown ones; with the seconds until it may again.
    #[error("This device code is unknown, like many that came from your network. Start the login again.")]
    #[strum(serialize = "invalid_grant")]
    TooManyUnknown(u64),
    #[error("There is nothing at this address.")]
    NotFound,
    /// With the methods that the address accepts.
    #[error("This address takes {0}.")]
    MethodNotAllowed(&'static str),
}

impl ResponseError for ClientError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::InvalidRequest(status, _) => *status,
            Self::UnsupportedGrantType | Self::InvalidGrant | Self::AuthorizationPending(_) | Self::NotHeld(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::SlowDown(_) | Self::AccessDenied(_) | Self::ExpiredToken(_) => StatusCode::BAD_REQUEST,
            Self::NotSaved(..) | Self::ServerError(_) => StatusCode::BAD_REQUEST,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::TemporarilyUnavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooManyLogins(_) | Self::TooManyUnknown(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CACHE_CONTROL, "no-store"));
        match self {
            Self::TemporarilyUnavailable(seconds) | Self::TooManyLogins(seconds) => {
                response.insert_header((RETRY_AFTER, seconds.to_string()));
            }
            Self::TooManyUnknown(seconds) => {
                // Each further attempt costs the client a connection.
                response.insert_header((RETRY_AFTER, seconds.to_string())).force_close();
            }
            // Its socket is free for the others until the next poll, and the buffer of a large head ends with its connection.
            Self::NotHeld(_) | Self::InvalidRequest(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, _) => {
                response.force_close();
            }
            Self::MethodNotAllowed(methods) => {
                response.insert_header((ALLOW, *methods));
            }
            _ => {}
        }
        let error = if let Self::NotSaved(_, error) = self { error.as_ref() } else { self.into() };
        response.json(json!({ "error": error, "error_description": self.to_string() }))
    }
}
