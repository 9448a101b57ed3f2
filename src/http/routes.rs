//! Every address on one screen.

use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, ALLOW, CACHE_CONTROL, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::web::{Path, ServiceConfig, get, head, post, resource, route, scope, to};
use actix_web::{HttpRequest, HttpResponse, Resource, ResponseError as _};

use crate::http::errors::ClientError;
use crate::http::own_task::in_own_task;
use crate::http::pages::{self, ASSET_CACHE_CONTROL, ASSETS_PATH, Page};
use crate::http::visitor::Visitor;
use crate::http::{callback, code, done, health, lean, metadata, openapi, self_check, token, verify};

/// Registers the addresses at the root and below the path of `SERVER_URL`: a proxy may strip that path or keep it.
pub fn configure(base_path: &str) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let base_path = base_path.to_owned();
    move |config: &mut ServiceConfig| {
        let well_known = "/.well-known/oauth-authorization-server";
        config.service(page(well_known).route(get().to(metadata::authorization_server)));
        if !base_path.is_empty() {
            // RFC 8414 §3.1 puts the issuer's path behind the well-known one.
            config.service(page(&format!("{well_known}{base_path}")).route(get().to(metadata::authorization_server)));
            config.service(scope(&base_path).configure(endpoints));
        }
        endpoints(config);
        config.default_service(to(not_found));
    }
}

fn endpoints(config: &mut ServiceConfig) {
    config
        .service(resource("/device/code").route(post().to(code::code)).default_service(to(async || only("POST"))))
        .service(
            resource("/device/token")
                .wrap(from_fn(lean::lean))
                .route(post().to(token::token))
                .default_service(to(async || only("POST"))),
        )
        // Terminals' requests share their statements, or have them run in other tasks.
        .service(scope("").wrap(from_fn(in_own_task)).configure(pages));
}

fn pages(config: &mut ServiceConfig) {
    config
        .service(page("/").route(get().to(metadata::home)).route(head().to(metadata::home)))
        .service(
            resource("/device/verify")
                .route(get().to(verify::page))
                .route(head().to(verify::page))
                .route(post().to(verify::decide))
                .default_service(to(async |request: HttpRequest, visitor: Visitor| {
                    wrong_method(&request, &visitor, "GET, HEAD, POST")
                })),
        )
        .service(page("/device/continue").route(get().to(verify::resume)).route(head().to(verify::resume)))
        // HEAD exchanges nothing: an exchange needs a person who reads the answer.
        .service(page("/device/callback").route(get().to(callback::callback)).route(head().to(uncached)))
        .service(page("/device/done/{outcome}").route(get().to(done::done)).route(head().to(done::done)))
        .service(page("/openapi.yaml").route(get().to(openapi::openapi)).route(head().to(openapi::openapi)))
        .service(page("/health").route(get().to(health::ready)).route(head().to(health::ready)))
        .service(page("/health/live").route(get().to(health::live)).route(head().to(health::live)))
        .service(page(self_check::PATH).route(get().to(self_check::self_check)))
        .service(page(&format!("{ASSETS_PATH}{{name}}")).route(get().to(asset)));
}

/// An address that takes GET and HEAD.
fn page(path: &str) -> Resource {
    resource(path).default_service(
        route().to(async |request: HttpRequest, visitor: Visitor| wrong_method(&request, &visitor, "GET, HEAD")),
    )
}

async fn uncached() -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).finish()
}

async fn asset(request: HttpRequest, visitor: Visitor, name: Path<String>) -> HttpResponse {
    match pages::asset(&name) {
        Some(asset) => HttpResponse::Ok()
            .content_type(asset.content_type)
            .insert_header((CACHE_CONTROL, ASSET_CACHE_CONTROL))
            .body(asset.body),
        None => not_found(request, visitor).await,
    }
}

async fn not_found(request: HttpRequest, visitor: Visitor) -> HttpResponse {
    if is_person(&request) { visitor.show(&Page::NotFound) } else { ClientError::NotFound.error_response() }
}

fn wrong_method(request: &HttpRequest, visitor: &Visitor, allowed: &'static str) -> HttpResponse {
    if !is_person(request) {
        return only(allowed);
    }
    let mut response = visitor.show(&Page::MethodNotAllowed);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn only(allowed: &'static str) -> HttpResponse {
    ClientError::MethodNotAllowed(allowed).error_response()
}

/// A browser's `Accept` names HTML; a program's names JSON or anything.
fn is_person(request: &HttpRequest) -> bool {
    let accepts_html = |value: &HeaderValue| value.to_str().is_ok_and(|accept| accept.contains("text/html"));
    request.method() != Method::OPTIONS && request.headers().get_all(ACCEPT).any(accepts_html)
}
