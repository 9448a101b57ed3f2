//! The stand-in's API, except the exchange.

use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::postiz::state::{Fields, State};
use crate::postiz::{Event, Subscription};

/// Answers a client's name and callback. It needs the client id and no secret.
pub(super) async fn registered_app(state: Data<State>, query: Query<Fields>) -> HttpResponse {
    let memory = state.lock();
    match memory.check(&query) {
        Ok((name, redirect_uri)) => {
            HttpResponse::Ok().json(json!({ "app": { "name": name, "redirectUrl": redirect_uri } }))
        }
        Err(message) => HttpResponse::BadRequest().json(json!({ "message": message, "statusCode": 400 })),
    }
}

/// Expects the bare token: Postiz does not know `Bearer`.
pub(super) async fn integrations(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (is_live, subscription) = {
        let memory = state.lock();
        (header.is_some_and(|token| memory.is_live(token)), memory.subscription.clone())
    };
    if is_live && !matches!(subscription, Subscription::Active) {
        HttpResponse::Unauthorized().json(json!({ "msg": "No subscription found" }))
    } else if is_live {
        state.report(Event::TokenUsed);
        HttpResponse::Ok().json(json!([{ "id": "1", "name": "Stand-in channel", "identifier": "x" }]))
    } else {
        HttpResponse::Unauthorized().json(json!({ "msg": "Invalid API key" }))
    }
}

pub(super) async fn not_found(request: HttpRequest) -> HttpResponse {
    let message = format!("Cannot {} {}", request.method(), request.path());
    HttpResponse::NotFound().json(json!({ "message": message, "error": "Not Found", "statusCode": 404 }))
}
