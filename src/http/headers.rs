//! Headers of every answer.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::{DefaultHeaders, Next};
use actix_web::web::Data;

use crate::config::BaseUrl;
use crate::http::Deps;

/// A year: what browsers and preload lists expect.
const HSTS: &str = "max-age=31536000";

/// Set unless a handler has set them.
pub fn defaults(server_url: &BaseUrl) -> DefaultHeaders {
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

/// While the server stops, each answer closes its connection: a balancer sends its next request elsewhere instead of on a
/// connection that is about to close.
pub async fn last_answer(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let deps = request.app_data::<Data<Deps>>().cloned();
    let mut response = next.call(request).await?;
    if deps.is_some_and(|deps| deps.flow.stopping().is_cancelled()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}
