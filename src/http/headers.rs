//! Headers that every answer carries.

use actix_web::middleware::DefaultHeaders;

use crate::config::BaseUrl;

/// A year: what browsers and preload lists expect.
const HSTS: &str = "max-age=31536000";

/// Sets what is not set already.
pub fn defaults(server_url: &BaseUrl) -> DefaultHeaders {
    let headers = DefaultHeaders::new()
        .add(("X-Content-Type-Options", "nosniff"))
        // Codes stay at home; `no-referrer` would turn the Origin of our own forms into `null`.
        .add(("Referrer-Policy", "same-origin"))
        .add(("X-Frame-Options", "DENY"))
        .add(("Cross-Origin-Opener-Policy", "same-origin"))
        .add(("Cross-Origin-Resource-Policy", "same-origin"))
        .add(("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"));
    if server_url.is_https() { headers.add(("Strict-Transport-Security", HSTS)) } else { headers }
}
