//! What this server says of itself: to programs (RFC 8414, OpenAPI), to agents as plain text, to people, and to load balancers.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::json;

use crate::http::Deps;
use crate::http::pages::Page;
use crate::http::visitor::{Visitor, is_person};

const OPENAPI: &str = include_str!("../../openapi.yaml");
const LLMS: &str = include_str!("../../assets/llms.txt");

/// `/.well-known/oauth-authorization-server`.
pub async fn authorization_server(deps: Data<Deps>) -> HttpResponse {
    let url = |path| String::from(deps.config.server_url.join(path));
    let mut metadata = json!({
        "issuer": deps.config.server_url.as_str(),
        "device_authorization_endpoint": url("/device/code"),
        "token_endpoint": url("/device/token"),
        "grant_types_supported": ["urn:ietf:params:oauth:grant-type:device_code"],
        // Required by the RFC; the device grant has none.
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
    });
    if let Some(operator) = &deps.config.operator_url {
        metadata["service_documentation"] = operator.as_str().into();
    }
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "public, max-age=3600")).json(metadata)
}

/// `/`: what this server is and how to point the CLI at it. A program gets the same as from `/llms.txt`.
pub async fn home(request: HttpRequest, visitor: Visitor, deps: Data<Deps>) -> HttpResponse {
    if is_person(&request) { visitor.show(&Page::Home) } else { llms(deps).await }
}

pub async fn llms(deps: Data<Deps>) -> HttpResponse {
    let text = LLMS
        .replace("{server_url}", deps.config.server_url.as_str())
        .replace("{api_url}", deps.config.public_api_url().as_str());
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("Vary", "Accept"))
        .body(text)
}

pub async fn openapi() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/yaml")
        .insert_header((CACHE_CONTROL, "public, max-age=3600"))
        .body(OPENAPI)
}

/// `/health`, for load balancers: 200 if logins can be served, otherwise 503.
pub async fn ready(deps: Data<Deps>) -> HttpResponse {
    match deps.flow.health().await {
        Ok(()) => status(HttpResponse::Ok(), "ok"),
        Err(why) => status(HttpResponse::ServiceUnavailable(), &why),
    }
}

/// `/health/live`, for supervisors that restart processes: 200 while the process answers: a restart would not bring Postgres back.
pub async fn live() -> HttpResponse {
    status(HttpResponse::Ok(), "ok")
}

fn status(mut response: HttpResponseBuilder, word: &str) -> HttpResponse {
    response.insert_header((CACHE_CONTROL, "no-store")).json(json!({ "status": word }))
}
