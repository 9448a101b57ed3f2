//! `POST /device/token`: the terminal asks for its token (RFC 8628 §3.4). Its request may be held for long, so little of it is
//! kept.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN, PRAGMA,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use serde::{Deserialize, Serialize};

use crate::flow::{PollOptions, PollOutcome};
use crate::grant::{Credentials, DeviceCode, PollStatus};
use crate::http::Deps;
use crate::http::protocol::{Body, ClientError, Dialect, client_id, login_command};
use crate::http::sender::{CLIENT_IP_HEADERS, client_ip, refuse_pages};
use crate::limits::whole_seconds;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// No terminal's request has a head of this size. The connection's buffer grows with it, and stays.
const MAX_HEAD: usize = 8 * 1024;
/// The headers that are read, beside those of the client's address.
const READ: [HeaderName; 5] = [
    CONTENT_TYPE,
    CONTENT_ENCODING,
    ORIGIN,
    HeaderName::from_static("prefer"),
    HeaderName::from_static("sec-fetch-site"),
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Request {
    grant_type: Option<String>,
    device_code: Option<String>,
    client_id: Option<String>,
}

/// RFC 6749 §5.1, and what the CLI keeps beside the token.
#[derive(Serialize)]
struct Response<'a> {
    #[serde(flatten)]
    credentials: &'a Credentials,
    token_type: &'static str,
    api_url: &'a str,
}

/// Refuses large heads, and keeps the headers that are read, as copies in a map of their size: the originals would keep the
/// buffer that the whole request was read into, and their map has room for many more.
pub async fn lean(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    const LINE: usize = ": \r\n".len();
    let all = std::mem::replace(request.headers_mut(), HeaderMap::new());
    let headers = all.iter().map(|(name, value)| name.as_str().len() + value.len() + LINE);
    if request.uri().path_and_query().map_or(0, |target| target.as_str().len()) + headers.sum::<usize>() > MAX_HEAD {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        let refusal = ClientError::InvalidRequest(status, "the head of the request is too large");
        return Ok(request.into_response(refusal.error_response()));
    }
    for (name, value) in all.iter().filter(|(name, _)| READ.contains(name) || CLIENT_IP_HEADERS.contains(name)) {
        if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
            request.headers_mut().append(name.clone(), copy);
        }
    }
    drop(all);
    next.call(request).await
}

/// Answers a poll.
pub async fn token(
    request: HttpRequest,
    deps: Data<Deps>,
    body: Result<Body, ClientError>,
) -> Result<HttpResponse, ClientError> {
    refuse_pages(&request)?;
    let body = body?;
    let (dialect, fields) = (body.dialect, body.fields::<Request>()?);
    let code = device_code(dialect, &fields)?;
    let grant = code.grant_id();
    let options = PollOptions {
        hold: dialect.hold(&request),
        keeps_interval: dialect.must_keep_interval(),
        client: client_ip(&deps.config, &request),
        client_id: client_id(fields.client_id.as_deref())?,
    };
    // Not kept while the poll is held.
    drop((body, fields));
    match deps.flow.poll(code, options).await {
        PollOutcome::Delivered(credentials) => Ok(success(&deps, &credentials)),
        PollOutcome::NoToken(PollStatus::Pending | PollStatus::Ready) => Err(ClientError::AuthorizationPending(grant)),
        PollOutcome::NoToken(PollStatus::SlowDown) => Err(ClientError::SlowDown(grant)),
        PollOutcome::NoToken(PollStatus::Denied) => Err(ClientError::AccessDenied(grant)),
        PollOutcome::NoToken(PollStatus::Expired) => Err(ClientError::ExpiredToken(grant)),
        PollOutcome::NoToken(PollStatus::Unknown) => Err(ClientError::InvalidGrant),
        PollOutcome::NotHeld => Err(ClientError::NotHeld(grant)),
        PollOutcome::RateLimited(limited) => Err(ClientError::TooManyUnknown(whole_seconds(limited.retry_after))),
        PollOutcome::NoToken(PollStatus::NotSaved) => {
            Err(ClientError::NotSaved(grant, dialect.not_saved(&login_command(&deps.config.server_url))))
        }
        PollOutcome::Failed => Err(ClientError::ServerError(grant)),
    }
}

fn device_code(dialect: Dialect, request: &Request) -> Result<DeviceCode, ClientError> {
    let missing = |text| ClientError::InvalidRequest(StatusCode::BAD_REQUEST, text);
    match (dialect, request.grant_type.as_deref()) {
        // The CLI sends none.
        (_, Some(GRANT_TYPE)) | (Dialect::Cli, None) => {}
        (Dialect::Rfc8628, None | Some("")) => return Err(missing("grant_type is missing")),
        (_, Some(_)) => return Err(ClientError::UnsupportedGrantType),
    }
    match request.device_code.as_deref() {
        None | Some("") => Err(missing("device_code is missing")),
        // Text of another form was never issued.
        Some(text) => text.parse().map_err(|_| ClientError::InvalidGrant),
    }
}

fn success(deps: &Deps, credentials: &Credentials) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache")).json(Response {
        credentials,
        token_type: "bearer",
        api_url: deps.config.public_api_url().as_str(),
    })
}
