//! Bodies and errors. [`Body`] reads JSON or a form, of terminals and of our own page. [`Dialect`] is how the published Postiz CLI
//! and RFC 8628 differ. [`ClientError`] is an answer for a program.
//!
//! The CLI sends JSON or no body, ends the login at any error but `authorization_pending`, and waits for a held answer
//! without a timeout. RFC 8628 clients send a form, know `slow_down`, and expect an answer at once unless they ask for more
//! (RFC 7240).
//!
//! Errors have the form of RFC 6749 §5.2, and the words of it and of RFC 8628 §3.5 where they have one. The description of an error
//! about a grant ends with its reference, which is also in the log.

use std::borrow::Cow;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, CONTENT_ENCODING, RETRY_AFTER};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, ResponseError};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::json;
use strum::IntoStaticStr;
use tokio::time::timeout;

use crate::config::BaseUrl;
use crate::flow::INTERVAL;
use crate::grant::{ClientId, GrantId};

/// No valid request needs a kilobyte.
const MAX_BODY: usize = 16 * 1024;
/// actix has a timeout for a request's head but not for its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const UNKNOWN_TYPE: &str = "the content type has to be application/json or application/x-www-form-urlencoded";
/// Not of the announced type, a malformed field, or a repeated one.
const UNREADABLE: &str = "the body can't be read";
/// Before each poll of the CLI if its polls are held, so that one is held when the person approves. The CLI reads 0 as 5.
const INTERVAL_WHEN_HELD: Duration = Duration::from_secs(1);
/// The CLI ends the login at an unknown error and prints `error`, not its description. A sentence of these characters may
/// stand there (RFC 6749 §5.2). The command follows.
const NOT_SAVED: &str = "this terminal keeps fetching its token, so it can't save it. Make sure that the folder ~/.postiz can be \
                         written and that the disk is not full. Then run: ";
/// The CLI's server if none is configured.
const CLI_DEFAULT_SERVER: &str = "https://cli-auth.postiz.com";

/// The command that starts a login with the CLI at this server. The option works in every shell; a variable before the command
/// does not.
pub fn login_command(server_url: &BaseUrl) -> String {
    const LOGIN: &str = "postiz auth:login";
    match server_url.as_str() {
        CLI_DEFAULT_SERVER => LOGIN.to_owned(),
        url => format!("{LOGIN} --auth-server {url}"),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Cli,
    Rfc8628,
}

/// A whole body.
#[derive(Debug)]
pub struct Body {
    pub dialect: Dialect,
    bytes: Bytes,
}

impl Body {
    /// The fields of JSON or form; the defaults if the body is empty.
    pub fn fields<T: DeserializeOwned + Default>(&self) -> Result<T, ClientError> {
        let read = match self.dialect {
            _ if self.bytes.is_empty() => Some(T::default()),
            // serde reads a struct from a JSON array too, which has no field names.
            Dialect::Cli if self.bytes.trim_ascii_start().first() != Some(&b'{') => None,
            Dialect::Cli => serde_json::from_slice(&self.bytes).ok(),
            Dialect::Rfc8628 => serde_urlencoded::from_bytes(&self.bytes).ok(),
        };
        read.ok_or(ClientError::InvalidRequest(StatusCode::BAD_REQUEST, UNREADABLE))
    }
}

impl FromRequest for Body {
    type Error = ClientError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ClientError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let content_type = request.content_type().trim().to_ascii_lowercase();
        let mut encodings = request.headers().get_all(CONTENT_ENCODING);
        let is_encoded = encodings.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
        let payload = payload.take();
        Box::pin(async move {
            let invalid = ClientError::InvalidRequest;
            if is_encoded {
                return Err(invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed"));
            }
            let whole = timeout(BODY_TIMEOUT, read(payload)).await;
            let bytes =
                whole.map_err(|_| invalid(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"))??;
            let dialect = match content_type.as_str() {
                _ if bytes.is_empty() => Dialect::Cli,
                "application/json" => Dialect::Cli,
                "application/x-www-form-urlencoded" => Dialect::Rfc8628,
                _ => return Err(invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, UNKNOWN_TYPE)),
            };
            Ok(Self { dialect, bytes })
        })
    }
}

/// actix's own readers allocate 8 KiB or more for each body at once.
async fn read(mut payload: Payload) -> Result<Bytes, ClientError> {
    let mut bytes = BytesMut::new();
    while let Some(part) = payload.next().await {
        let part = part.map_err(|_| ClientError::InvalidRequest(StatusCode::BAD_REQUEST, "the body is incomplete"))?;
        if bytes.len() + part.len() > MAX_BODY {
            return Err(ClientError::InvalidRequest(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.freeze())
}

/// The field `client_id`. An empty one counts as omitted (RFC 6749 §3.1).
pub fn client_id(text: Option<&str>) -> Result<Option<ClientId>, ClientError> {
    let id = text.filter(|text| !text.is_empty()).map(str::parse).transpose();
    id.map_err(|_| ClientError::InvalidRequest(StatusCode::BAD_REQUEST, UNREADABLE))
}

impl Dialect {
    /// The interval that is announced if the client's polls will be held; otherwise it is [`INTERVAL`].
    pub fn interval_when_held(self) -> Duration {
        match self {
            Self::Cli => INTERVAL_WHEN_HELD,
            Self::Rfc8628 => INTERVAL,
        }
    }

    /// Whether the client has to keep the announced interval. The CLI has not: `slow_down` would end its login.
    pub fn must_keep_interval(self) -> bool {
        self == Self::Rfc8628
    }

    /// The `error` for a terminal that can't save its token.
    pub fn not_saved(self, login_command: &str) -> Cow<'static, str> {
        match self {
            Self::Cli => Cow::Owned(format!("{NOT_SAVED}{login_command}")),
            Self::Rfc8628 => Cow::Borrowed("invalid_grant"),
        }
    }

    /// How long this poll accepts to be held. The CLI has no timeout.
    pub fn hold(self, request: &HttpRequest) -> Duration {
        match self {
            Self::Cli => Duration::MAX,
            Self::Rfc8628 => preferred_wait(request).unwrap_or_default(),
        }
    }
}

/// `Prefer: wait=N`, in seconds (RFC 7240 §4.3).
fn preferred_wait(request: &HttpRequest) -> Option<Duration> {
    let preferences = request.headers().get_all("Prefer").filter_map(|value| value.to_str().ok());
    preferences
        .flat_map(|value| value.split(','))
        .filter_map(|preference| preference.split(';').next()?.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse().ok())
        .map(Duration::from_secs)
}

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

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_sentence_in_error_has_only_the_characters_that_an_error_may_have() {
        let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        for url in ["https://auth.example.com", r#"https://münchen.example/a"\ä"#, "http://[::1]:3111"] {
            let sentence = Dialect::Cli.not_saved(&login_command(&url.parse().unwrap()));
            assert!(sentence.bytes().all(allowed), "{sentence}");
        }
        assert_eq!(Dialect::Rfc8628.not_saved("postiz auth:login"), "invalid_grant");
    }

    #[test]
    fn the_login_command_names_every_server_but_the_default_one_of_the_cli() {
        for (url, command) in [
            ("https://auth.example.com/", "postiz auth:login --auth-server https://auth.example.com"),
            ("http://localhost:3111/auth", "postiz auth:login --auth-server http://localhost:3111/auth"),
            ("http://cli-auth.postiz.com", "postiz auth:login --auth-server http://cli-auth.postiz.com"),
            ("https://cli-auth.postiz.com/", "postiz auth:login"),
        ] {
            assert_eq!(login_command(&url.parse().unwrap()), command);
        }
    }

    #[test]
    fn an_rfc_client_is_held_only_as_long_as_it_asks() {
        for (prefer, held) in [
            ("wait=10", 10),
            ("respond-async, wait=3", 3),
            ("wait=\"7\"; foo=bar", 7),
            ("WAIT=90", 90),
            ("wait=x", 0),
            ("", 0),
        ] {
            let request = TestRequest::default().insert_header(("Prefer", prefer)).to_http_request();
            assert_eq!(Dialect::Rfc8628.hold(&request).as_secs(), held, "{prefer}");
        }
    }
}
