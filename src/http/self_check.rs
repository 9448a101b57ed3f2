//! `GET /health/mirror`: tells our own `check` how its request looked when it arrived here.
//!
//! `check` sends the request to `SERVER_URL`, from outside. It proves by a key in the database, which both sides read, that
//! it may ask; the answer proves in the same way that it comes from this server or another replica. The key itself is not
//! sent. Everyone else gets a 404.
//!
//! Path and header are part of the protocol between versions: do not rename them.

use std::net::IpAddr;

use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};

use crate::http::Deps;
use crate::http::client_ip::CLIENT_IP_HEADERS;
use crate::http::errors::ClientError;
use crate::http::self_check_key::{Challenge, ObservedRequest, SelfCheckKey};

pub const PATH: &str = "/health/mirror";
pub const HEADER: &str = "X-Postiz-Auth-Check";
/// Further headers in which proxies name the client or its connection.
const FORWARDED: [HeaderName; 2] = [HeaderName::from_static("forwarded"), HeaderName::from_static("x-forwarded-proto")];

pub async fn self_check(request: HttpRequest, deps: Data<Deps>) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let Some((key, challenge)) = recognise(&deps, header(HEADER), deps.client_ip.of(&request)).await else {
        return ClientError::NotFound.error_response();
    };
    let forwarded = CLIENT_IP_HEADERS.into_iter().chain(FORWARDED).filter_map(|name| {
        let lines: Vec<_> = request.headers().get_all(&name).filter_map(|line| line.to_str().ok()).collect();
        (!lines.is_empty()).then(|| (name.to_string(), lines.join(", ")))
    });
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(ObservedRequest {
        proof: key.proof(&challenge),
        peer: request.peer_addr().map(|peer| peer.ip().to_canonical()),
        client: deps.client_ip.of(&request),
        forwarded: forwarded.collect(),
    })
}

async fn recognise(deps: &Deps, header: Option<&str>, client: Option<IpAddr>) -> Option<(SelfCheckKey, Challenge)> {
    let header = header?;
    let key = SelfCheckKey::new(deps.flow.self_check_key(client).await?);
    let challenge = key.read(header)?;
    Some((key, challenge))
}
