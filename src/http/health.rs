//! `/health` for load balancers, `/health/live` for supervisors that restart processes.

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Data;
use serde_json::json;

use crate::http::Deps;

/// 200 if logins can be served, otherwise 503. Postiz has to answer once, after the start.
pub async fn ready(deps: Data<Deps>) -> HttpResponse {
    if deps.flow.postiz().endpoints().is_none() && !deps.readiness.is_stopping() {
        status(HttpResponse::ServiceUnavailable(), "Postiz unavailable")
    } else if deps.readiness.is_ready().await {
        status(HttpResponse::Ok(), "ok")
    } else if deps.readiness.is_stopping() {
        status(HttpResponse::ServiceUnavailable(), "stopping")
    } else {
        status(HttpResponse::ServiceUnavailable(), "database unavailable")
    }
}

/// 200 while the process answers: a restart would not bring Postgres back.
pub async fn live() -> HttpResponse {
    status(HttpResponse::Ok(), "ok")
}

fn status(mut response: actix_web::HttpResponseBuilder, word: &str) -> HttpResponse {
    response.insert_header((CACHE_CONTROL, "no-store")).json(json!({ "status": word }))
}
