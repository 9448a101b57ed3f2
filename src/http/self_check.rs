//! `GET /health/mirror`: tells our own `check` how its request looked when it arrived here.
//!
//! `check` sends the request to `SERVER_URL`, from outside. It proves by a key in the database, which both sides read, that
//! it may ask; the answer proves in the same way that it comes from this server or another replica. The key itself is not
//! sent. Everyone else gets a 404.
//!
//! Path and header are part of the protocol between versions: do not rename them.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};

use crate::http::Deps;
use crate::http::errors::ClientError;
use crate::http::self_check_key::{Challenge, ObservedRequest, SelfCheckKey};

pub const PATH: &str = "/health/mirror";
pub const HEADER: &str = "X-Postiz-Auth-Check";
/// Headers in which proxies name the client.
const FORWARDED: [&str; 6] =
    ["x-forwarded-for", "x-real-ip", "cf-connecting-ip", "fly-client-ip", "forwarded", "x-forwarded-proto"];

pub async fn self_check(request: HttpRequest, deps: Data<Deps>) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let Some((key, challenge)) = recognise(&deps, header(HEADER)).await else {
        return ClientError::NotFound.error_response();
    };
    let forwarded = FORWARDED.into_iter().filter_map(|name| {
        let lines: Vec<_> = request.headers().get_all(name).filter_map(|line| line.to_str().ok()).collect();
        (!lines.is_empty()).then(|| (name.to_owned(), lines.join(", ")))
    });
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(ObservedRequest {
        proof: key.proof(&challenge),
        peer: request.peer_addr().map(|peer| peer.ip().to_canonical()),
        client: deps.client_ip.of(&request),
        forwarded: forwarded.collect(),
    })
}

async fn recognise(deps: &Deps, header: Option<&str>) -> Option<(SelfCheckKey, Challenge)> {
    let header = header?;
    let key = SelfCheckKey::new(deps.flow.store().database().self_check_key().await.ok()??);
    let challenge = key.read(header)?;
    Some((key, challenge))
}
