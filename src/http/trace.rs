//! A span for each request, with an id that the answer carries in `X-Request-Id`.
//!
//! The route's pattern is logged, never the path or the query, which hold codes and states.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use tracing::{Instrument as _, debug, info_span};

#[cfg(feature = "otlp")]
use crate::telemetry::traces;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_ID: usize = 64;

/// Keeps a well-formed id that a proxy has set, or makes one.
pub async fn trace(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let id = request.headers().get(REQUEST_ID).and_then(well_formed).unwrap_or_else(fresh);
    let route = request.match_pattern().unwrap_or_else(|| "none".to_owned());
    let kind = cfg!(feature = "otlp").then_some("server");
    let span = info_span!("request", request_id = id, method = %request.method(), route, otel.kind = kind);
    #[cfg(feature = "otlp")]
    traces::begin(&span, format!("{} {route}", request.method()), |name| request.headers().get(name)?.to_str().ok());
    let mut response = next.call(request).instrument(span.clone()).await?;
    #[cfg(feature = "otlp")]
    traces::end(&span, response.status().as_u16());
    span.in_scope(|| debug!(status = response.status().as_u16(), "request answered"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
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
