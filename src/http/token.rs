//! `POST /device/token`: the terminal asks for its token (RFC 8628 §3.4).

use actix_web::http::header::{CACHE_CONTROL, PRAGMA};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use crate::flow::{PollOptions, PollOutcome};
use crate::grant::{ClientId, Credentials, DeviceCode, Standing};
use crate::http::Deps;
use crate::http::dialect::Dialect;
use crate::http::errors::ClientError;
use crate::http::fetch_metadata::refuse_pages;
use crate::http::params::{Body, client_id, rejection};
use crate::limits::whole_seconds;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Request {
    grant_type: Option<String>,
    device_code: Option<String>,
    #[serde(deserialize_with = "client_id")]
    client_id: Option<ClientId>,
}

/// RFC 6749 §5.1, and what the CLI keeps beside the token.
#[derive(Serialize)]
struct Response<'a> {
    #[serde(flatten)]
    credentials: &'a Credentials,
    api_url: &'a str,
}

/// Answers a poll.
pub async fn token(
    request: HttpRequest,
    deps: Data<Deps>,
    body: Result<Body, actix_web::Error>,
) -> Result<HttpResponse, ClientError> {
    refuse_pages(&request)?;
    let body = body.map_err(|error| rejection(&error))?;
    let (dialect, fields) = (Dialect::of(body.form), body.fields::<Request>()?);
    let code = device_code(dialect, &fields)?;
    let grant = code.grant_id();
    let options = PollOptions {
        hold: dialect.hold(&request),
        paced: dialect.is_paced(),
        client: deps.client_ip.of(&request),
        client_id: fields.client_id,
    };
    // Not kept while the poll is held.
    drop(body);
    match deps.flow.poll(code, options).await {
        PollOutcome::Delivered(credentials) => Ok(success(&deps, &credentials)),
        PollOutcome::NoToken(Standing::Pending | Standing::Ready) => Err(ClientError::AuthorizationPending(grant)),
        PollOutcome::NoToken(Standing::SlowDown) => Err(ClientError::SlowDown(grant)),
        PollOutcome::NoToken(Standing::Denied) => Err(ClientError::AccessDenied(grant)),
        PollOutcome::NoToken(Standing::Expired) => Err(ClientError::ExpiredToken(grant)),
        PollOutcome::NoToken(Standing::Unknown) => Err(ClientError::InvalidGrant),
        PollOutcome::NotHeld => Err(ClientError::NotHeld(grant)),
        PollOutcome::RateLimited(limited) => Err(ClientError::TooManyUnknown(whole_seconds(limited.retry_after))),
        PollOutcome::NotSaved => Err(ClientError::NotSaved(grant, dialect.not_saved(&deps.login_command))),
        PollOutcome::Failed => Err(ClientError::ServerError(grant)),
    }
}

fn device_code(dialect: Dialect, request: &Request) -> Result<DeviceCode, ClientError> {
    match (dialect, request.grant_type.as_deref()) {
        // The CLI sends none.
        (_, Some(GRANT_TYPE)) | (Dialect::Cli, None) => {}
        (Dialect::Rfc8628, None | Some("")) => return Err(ClientError::InvalidRequest("grant_type is missing")),
        (_, Some(_)) => return Err(ClientError::UnsupportedGrantType),
    }
    match request.device_code.as_deref() {
        None | Some("") => Err(ClientError::InvalidRequest("device_code is missing")),
        // Text of another form was never issued.
        Some(text) => text.parse().map_err(|_| ClientError::InvalidGrant),
    }
}

fn success(deps: &Deps, credentials: &Credentials) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((PRAGMA, "no-cache"))
        .json(Response { credentials, api_url: deps.api_url.as_str() })
}
