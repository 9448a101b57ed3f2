//! The web: every address on one screen, and what every request passes: a span with an id for the log, headers of every answer, and
//! the end of connections.
//!
//! A handler parses, calls one verb of `DeviceFlow` and renders its answer. It fails with one of two enums: [`ClientError`] for
//! programs, [`Page`] for people. The route's pattern is logged, never the path or the query, which hold codes and states.

pub mod about;
pub mod callback;
pub mod code;
pub mod pages;
pub mod protocol;
pub mod sender;
pub mod token;
pub mod verify;
pub mod visitor;

use std::future::ready;
use std::sync::{Arc, Mutex};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::guard::{self, Guard};
use actix_web::http::ConnectionType;
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::middleware::{DefaultHeaders, Next, from_fn};
use actix_web::web::{Data, Path, ServiceConfig, post, resource, route, to};
use actix_web::{HttpRequest, HttpResponse, Resource, ResponseError as _, Route};
use tracing::{Instrument as _, debug, info_span};

use crate::config::{BaseUrl, Config};
use crate::flow::DeviceFlow;
use crate::log::Throttle;
use pages::{ASSET_CACHE_CONTROL, ASSETS_PATH, Page};
use protocol::ClientError;
use visitor::{Visitor, is_person};

const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_ID: usize = 64;
/// A year: what browsers and preload lists expect.
const HSTS: &str = "max-age=31536000";

/// What the handlers need.
pub struct Deps {
    pub flow: Arc<DeviceFlow>,
    pub config: Config,
    /// Forms that were refused, for the log.
    pub refused_forms: Mutex<Throttle>,
}

/// Registers the addresses at the root and below the path of `SERVER_URL`: a proxy may strip that path or keep it.
pub fn routes(base_path: &str) -> impl FnOnce(&mut ServiceConfig) + use<> {
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
                .default_service(only("GET, HEAD, POST")),
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
    resource(path).default_service(only("GET, HEAD"))
}

/// An address that takes POST from programs.
fn program(path: &str) -> Resource {
    resource(path).default_service(only("POST"))
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

/// For other methods, which no page of ours sends.
fn only(allowed: &'static str) -> Route {
    to(move || ready(ClientError::MethodNotAllowed(allowed).error_response()))
}

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
        // No code leaves our origin. `no-referrer` would turn the Origin of our forms into `null`.
        .add(("Referrer-Policy", "same-origin"))
        .add(("X-Frame-Options", "DENY"))
        .add(("Cross-Origin-Opener-Policy", "same-origin"))
        .add(("Cross-Origin-Resource-Policy", "same-origin"))
        .add(("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"));
    if server_url.is_https() { headers.add(("Strict-Transport-Security", HSTS)) } else { headers }
}
