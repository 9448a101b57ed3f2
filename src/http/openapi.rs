//! `GET /openapi.yaml`: the description that the tests hold the server against.

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;

pub async fn openapi() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/yaml")
        .insert_header((CACHE_CONTROL, "public, max-age=3600"))
        .body(include_str!("../../openapi.yaml"))
}
