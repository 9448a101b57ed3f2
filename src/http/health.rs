//! `/health` for load balancers, `/health/live` for supervisors that restart processes.

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Data;
use serde_json::json;

use crate::http::Deps;
use crate::http::readiness::Status;

/// 200 if logins can be served, otherwise 503. Postiz has to answer once, after the start. An overloaded replica stays 200:
/// taking it out of service would move its load to the others.
pub async fn ready(deps: Data<Deps>) -> HttpResponse {
    match deps.readiness.status().await {
        Status::Stopping => status(HttpResponse::ServiceUnavailable(), "stopping"),
        _ if deps.flow.postiz().endpoints().is_none() => {
            status(HttpResponse::ServiceUnavailable(), "Postiz unavailable")
        }
        Status::Ready => status(HttpResponse::Ok(), "ok"),
        Status::Overloaded => status(HttpResponse::Ok(), "overloaded"),
        Status::DatabaseUnavailable => status(HttpResponse::ServiceUnavailable(), "database unavailable"),
    }
}

/// 200 while the process answers: a restart would not bring Postgres back.
pub async fn live() -> HttpResponse {
    status(HttpResponse::Ok(), "ok")
}

fn status(mut response: actix_web::HttpResponseBuilder, word: &str) -> HttpResponse {
    response.insert_header((CACHE_CONTROL, "no-store")).json(json!({ "status": word }))
}
