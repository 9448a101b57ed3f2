//! Every address on one screen.

use actix_web::guard::{self, Guard};
use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::web::{Path, ServiceConfig, post, resource, route, to};
use actix_web::{HttpRequest, HttpResponse, Resource, ResponseError as _, Route};

use crate::http::errors::ClientError;
use crate::http::pages::{self, ASSET_CACHE_CONTROL, ASSETS_PATH, Page};
use crate::http::visitor::{Visitor, is_person};
use crate::http::{about, callback, code, token, verify};

const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";

/// Registers the addresses at the root and below the path of `SERVER_URL`: a proxy may strip that path or keep it.
pub fn configure(base_path: &str) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let base_path = base_path.to_owned();
    move |config: &mut ServiceConfig| {
        if !base_path.is_empty() {
            // RFC 8414 §3.1 puts the issuer's path behind the well-known one.
            let service = page(&format!("{WELL_KNOWN}{base_path}")).route(read().to(about::authorization_server));
            config.service(service);
            endpoints(config, &base_path);
        }
        endpoints(config, "");
        config.default_service(to(not_found));
    }
}

fn endpoints(config: &mut ServiceConfig, base: &str) {
    let at = |path: &str| format!("{base}{path}");
    let home = if base.is_empty() { "/" } else { base };
    config
        .service(program(&at("/device/code")).route(post().to(code::code)))
        .service(program(&at("/device/token")).wrap(from_fn(token::lean)).route(post().to(token::token)))
        .service(page(home).route(read().to(about::home)))
        .service(page(&at("/device")).route(read().to(to_verify)))
        .service(
            resource(at("/device/verify"))
                .route(read().to(verify::page))
                .route(post().to(verify::decide))
                .default_service(to(async |request: HttpRequest, visitor: Visitor| {
                    wrong_method(&request, &visitor, "GET, HEAD, POST")
                })),
        )
        .service(page(&at("/device/continue")).route(read().to(verify::resume)))
        .service(page(&at("/device/callback")).route(read().to(callback::callback)))
        .service(page(&at("/device/done/{outcome}")).route(read().to(callback::done)))
        .service(page(&at(WELL_KNOWN)).route(read().to(about::authorization_server)))
        .service(page(&at("/openapi.yaml")).route(read().to(about::openapi)))
        .service(page(&at("/llms.txt")).route(read().to(about::llms)))
        .service(page(&at("/health")).route(read().to(about::ready)))
        .service(page(&at("/health/live")).route(read().to(about::live)))
        .service(page(&at(&format!("{ASSETS_PATH}{{name}}"))).route(read().to(asset)));
}

/// GET, and HEAD with it.
fn read() -> Route {
    route().guard(guard::fn_guard(|request| guard::Get().check(request) || guard::Head().check(request)))
}

/// An address that takes GET and HEAD.
fn page(path: &str) -> Resource {
    resource(path).default_service(
        route().to(async |request: HttpRequest, visitor: Visitor| wrong_method(&request, &visitor, "GET, HEAD")),
    )
}

/// An address that takes POST from programs.
fn program(path: &str) -> Resource {
    resource(path).default_service(to(async || only("POST")))
}

/// Short enough to be read out and typed on a telephone.
async fn to_verify(request: HttpRequest, visitor: Visitor) -> HttpResponse {
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    visitor.redirect(&format!("{}/device/verify{query}", visitor.server_url().base_path()))
}

async fn asset(request: HttpRequest, visitor: Visitor, path: Path<String>) -> HttpResponse {
    match pages::asset(&path) {
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
