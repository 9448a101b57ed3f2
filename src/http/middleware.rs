//! What every request passes: a span with an id for the log, headers of every answer, and the end of connections.
//!
//! The route's pattern is logged, never the path or the query, which hold codes and states.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{DefaultHeaders, Next};
use actix_web::web::Data;
use tracing::{Instrument as _, debug, info_span};

use crate::config::BaseUrl;
use crate::http::Deps;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_ID: usize = 64;
/// A year: what browsers and preload lists expect.
const HSTS: &str = "max-age=31536000";

/// Keeps a well-formed id that a proxy has set, or makes one.
///
/// Closes the connection after its answer if the server stops: a balancer sends its next request elsewhere instead of on a
/// connection that is about to close.
pub async fn each_request(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let id = request.headers().get(REQUEST_ID).and_then(well_formed).unwrap_or_else(fresh);
    let route = request.match_pattern().unwrap_or_else(|| "none".to_owned());
    let span = info_span!("request", request_id = id, method = %request.method(), route);
    let deps = request.app_data::<Data<Deps>>().cloned();
    let mut response = next.call(request).instrument(span.clone()).await?;
    span.in_scope(|| debug!(status = response.status().as_u16(), "request answered"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if deps.is_some_and(|deps| deps.flow.stopping().is_cancelled()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

fn well_formed(value: &HeaderValue) -> Option<String> {
    let id = value.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (!id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(plain)).then(|| id.to_owned())
}

fn fresh() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// Set unless a handler has set them.
pub fn default_headers(server_url: &BaseUrl) -> DefaultHeaders {
    let headers = DefaultHeaders::new()
        .add(("X-Content-Type-Options", "nosniff"))
        // No code leaves our origin. `no-referrer` would turn the Origin of our own forms into `null`.
        .add(("Referrer-Policy", "same-origin"))
        .add(("X-Frame-Options", "DENY"))
        .add(("Cross-Origin-Opener-Policy", "same-origin"))
        .add(("Cross-Origin-Resource-Policy", "same-origin"))
        .add(("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"));
    if server_url.is_https() { headers.add(("Strict-Transport-Security", HSTS)) } else { headers }
}
