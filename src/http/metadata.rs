//! What this server says of itself: to programs (RFC 8414) and to people.

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Data;
use serde_json::json;

use crate::http::Deps;
use crate::http::pages::Page;
use crate::http::visitor::Visitor;

/// `/.well-known/oauth-authorization-server`.
pub async fn authorization_server(deps: Data<Deps>) -> HttpResponse {
    let url = |path| String::from(deps.server_url.join(path));
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "public, max-age=3600")).json(json!({
        "issuer": deps.server_url.as_str(),
        "device_authorization_endpoint": url("/device/code"),
        "token_endpoint": url("/device/token"),
        "grant_types_supported": ["urn:ietf:params:oauth:grant-type:device_code"],
        // Required by the RFC; the device grant has none.
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
    }))
}

/// `/`: what this server is and how to point the CLI at it.
pub async fn home(visitor: Visitor) -> HttpResponse {
    visitor.show(&Page::Home)
}
