//! Errors for programs: the words of RFC 6749 §5.2 and RFC 8628 §3.5, as JSON.
//!
//! Every error description about a grant ends with its reference, which is also in the log.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use crate::grant::GrantId;
use crate::http::params::BodyError;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// A parameter is missing, given twice or of the wrong type.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// The body could not be read.
    #[error("{0}")]
    Body(#[from] BodyError),
    /// A web page sent the request.
    #[error("This address is for programs, not for web pages.")]
    WebPage,
    /// Longer than any poll's.
    #[error("the head of the request is too large")]
    HeadTooLarge,
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
    /// The stored token can't be opened, or a bug.
    #[error("The token of this login can't be delivered. Start the login again (reference {}).", .0.reference())]
    ServerError(GrantId),
    /// A bug.
    #[error("Something went wrong here. Try again in a moment.")]
    Internal,
    /// With the seconds until the next attempt.
    #[error("The server can't do this right now. Try again in a moment.")]
    TemporarilyUnavailable(u64),
    /// This client has opened too many grants; with the seconds until it may again.
    #[error("Too many logins were started from your network. Try again in {0} s.")]
    TooManyLogins(u64),
    /// As [`Self::InvalidGrant`], and this client has polled too many unknown ones; with the seconds until it may again.
    #[error("This device code is unknown, like many that came from your network. Start the login again.")]
    TooManyUnknown(u64),
    #[error("There is nothing at this address.")]
    NotFound,
    /// With the methods that the address accepts.
    #[error("This address takes {0}.")]
    MethodNotAllowed(&'static str),
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    error_description: String,
}

impl ClientError {
    /// The table of errors: the word for programs, and the status.
    fn code(&self) -> (&str, StatusCode) {
        match self {
            Self::InvalidRequest(_) => ("invalid_request", StatusCode::BAD_REQUEST),
            Self::Body(BodyError::TooLarge) => ("invalid_request", StatusCode::PAYLOAD_TOO_LARGE),
            Self::Body(BodyError::TooSlow) => ("invalid_request", StatusCode::REQUEST_TIMEOUT),
            Self::Body(BodyError::UnknownType | BodyError::Encoded) => {
                ("invalid_request", StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::Body(BodyError::Broken | BodyError::Malformed) => ("invalid_request", StatusCode::BAD_REQUEST),
            Self::WebPage => ("invalid_request", StatusCode::BAD_REQUEST),
            Self::HeadTooLarge => ("invalid_request", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
            Self::UnsupportedGrantType => ("unsupported_grant_type", StatusCode::BAD_REQUEST),
            Self::InvalidGrant => ("invalid_grant", StatusCode::BAD_REQUEST),
            Self::AuthorizationPending(_) | Self::NotHeld(_) => ("authorization_pending", StatusCode::BAD_REQUEST),
            Self::SlowDown(_) => ("slow_down", StatusCode::BAD_REQUEST),
            Self::AccessDenied(_) => ("access_denied", StatusCode::BAD_REQUEST),
            Self::ExpiredToken(_) => ("expired_token", StatusCode::BAD_REQUEST),
            Self::NotSaved(_, error) => (error, StatusCode::BAD_REQUEST),
            // Not 500: a proxy may replace its body, and the CLI polls on without one.
            Self::ServerError(_) => ("server_error", StatusCode::BAD_REQUEST),
            Self::Internal => ("server_error", StatusCode::INTERNAL_SERVER_ERROR),
            Self::TemporarilyUnavailable(_) => ("temporarily_unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::TooManyLogins(_) => ("temporarily_unavailable", StatusCode::TOO_MANY_REQUESTS),
            Self::TooManyUnknown(_) => ("invalid_grant", StatusCode::TOO_MANY_REQUESTS),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed(_) => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
        }
    }
}

impl ResponseError for ClientError {
    fn status_code(&self) -> StatusCode {
        self.code().1
    }

    fn error_response(&self) -> HttpResponse {
        let (error, status) = self.code();
        let mut response = HttpResponse::build(status);
        response.insert_header((CACHE_CONTROL, "no-store"));
        match self {
            Self::TemporarilyUnavailable(seconds) | Self::TooManyLogins(seconds) => {
                response.insert_header((RETRY_AFTER, seconds.to_string()));
            }
            Self::TooManyUnknown(seconds) => {
                // Each further attempt costs the client a connection.
                response.insert_header((RETRY_AFTER, seconds.to_string())).force_close();
            }
            // Its socket is free for the others until the next poll.
            Self::NotHeld(_) => {
                response.force_close();
            }
            // Its buffer ends with the connection.
            Self::HeadTooLarge => {
                response.force_close();
            }
            Self::MethodNotAllowed(methods) => {
                response.insert_header((ALLOW, *methods));
            }
            _ => {}
        }
        response.json(ErrorBody { error, error_description: self.to_string() })
    }
}
