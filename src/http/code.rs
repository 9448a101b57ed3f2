//! `POST /device/code`: a terminal starts a login (RFC 8628 §3.1).

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use crate::flow::{Opened, Trouble};
use crate::http::Deps;
use crate::http::protocol::{Body, ClientError, client_id};
use crate::http::sender::{client_ip, refuse_pages};
use crate::limits::whole_seconds;

/// Seconds, if the database is unavailable.
const RETRY_AFTER: u64 = 5;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    /// Any: it says nothing to Postiz.
    client_id: Option<String>,
    /// Parsed to refuse malformed requests, and then ignored, as RFC 6749 §3.3 allows: Postiz's tokens have one scope.
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
    body: Result<Body, ClientError>,
) -> Result<HttpResponse, ClientError> {
    refuse_pages(&request)?;
    let body = body?;
    let client_id = client_id(body.fields::<Request>()?.client_id.as_deref())?;
    match deps.flow.open(client_ip(&deps.config, &request), client_id, body.dialect.interval_when_held()).await {
        Ok(opened) => Ok(success(&deps, &opened)),
        Err(Trouble::RateLimited(limited)) => Err(ClientError::TooManyLogins(whole_seconds(limited.retry_after))),
        Err(Trouble::Unavailable) => Err(ClientError::TemporarilyUnavailable(RETRY_AFTER)),
        Err(Trouble::Failed) => Err(ClientError::Internal),
    }
}

fn success(deps: &Deps, opened: &Opened) -> HttpResponse {
    let user_code = opened.user_code.to_string();
    let verification_uri = deps.config.server_url.join("/device/verify");
    let mut complete = verification_uri.clone();
    complete.query_pairs_mut().append_pair("user_code", &user_code);
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Response {
        device_code: opened.device_code.to_hex(),
        user_code,
        verification_uri: verification_uri.into(),
        verification_uri_complete: complete.into(),
        expires_in: opened.expires_in.as_secs(),
        interval: opened.interval.as_secs(),
    })
}
