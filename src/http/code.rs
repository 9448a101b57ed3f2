//! `POST /device/code`: a terminal starts a login (RFC 8628 §3.1).

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::http::Deps;
use crate::http::dialect::Dialect;
use crate::http::errors::ClientError;
use crate::http::params::{Body, rejection};
use crate::metrics::{GrantEvent, Limit};
use crate::store::StoreError;

/// What a terminal that could not be served is told to wait, in seconds.
const RETRY_AFTER: u32 = 5;

/// Read to refuse what is malformed. There is one app at Postiz behind this server, so neither
/// changes anything.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    #[serde(rename = "client_id")]
    _client_id: Option<String>,
    #[serde(rename = "scope")]
    _scope: Option<String>,
}

/// RFC 8628 §3.2; times in seconds.
#[derive(Serialize)]
struct Response {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: String,
    expires_in: u64,
    interval: u64,
}

/// Opens a grant and answers with its codes.
pub async fn code(
    request: HttpRequest,
    deps: Data<Deps>,
    body: Result<Body, actix_web::Error>,
) -> Result<HttpResponse, ClientError> {
    let body = body.map_err(|error| rejection(&error))?;
    body.fields::<Request>()?;
    let requester = deps.client_ip.of(&request);
    if let Err(over) = deps.limits.opening(requester) {
        deps.limit_metrics.count(Limit::Openings);
        return Err(ClientError::TooManyLogins(over.seconds()));
    }
    let (device_code, user_code) = deps.store.open(requester).await.map_err(|error| match error {
        StoreError::Unreachable | StoreError::Refused => ClientError::TemporarilyUnavailable(RETRY_AFTER),
    })?;
    deps.logins.count(GrantEvent::Opened);
    info!(grant = device_code.grant_id().reference(), "grant opened");

    // A replica that is full of waiting terminals answers their polls at once: they should come less often.
    let polls_are_held = !deps.long_poll.is_zero() && deps.waiters.have_room();
    let verification_uri = deps.server_url.join("/device/verify");
    let mut complete = verification_uri.clone();
    complete.query_pairs_mut().append_pair("user_code", &user_code.to_string());
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Response {
        device_code: device_code.to_hex(),
        user_code: user_code.to_string(),
        verification_uri: verification_uri.into(),
        verification_uri_complete: complete.into(),
        expires_in: deps.device_code_ttl.as_secs(),
        interval: Dialect::of(body.form).interval(polls_are_held).as_secs(),
    }))
}
