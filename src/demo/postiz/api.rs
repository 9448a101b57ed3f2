//! The stand-in's API, but for the exchange.

use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::demo::postiz::Event;
use crate::demo::postiz::state::{Fields, State};

/// Tells an app's name and callback to whoever knows its id.
pub(super) async fn registered_app(state: Data<State>, query: Query<Fields>) -> HttpResponse {
    let memory = state.lock();
    match memory.check(&query) {
        Ok(()) => {
            let redirect_url = &memory.app.redirect_uri;
            HttpResponse::Ok().json(json!({ "app": { "name": "postiz-auth-server", "redirectUrl": redirect_url } }))
        }
        Err(message) => HttpResponse::BadRequest().json(json!({ "message": message, "statusCode": 400 })),
    }
}

/// Takes the token as it is: Postiz knows no `Bearer`.
pub(super) async fn integrations(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.is_some_and(|token| state.lock().is_live(token)) {
        state.tell(Event::TokenUsed);
        HttpResponse::Ok().json(json!([{ "id": "1", "name": "Stand-in channel", "identifier": "x" }]))
    } else {
        HttpResponse::Unauthorized().json(json!({ "msg": "Invalid API key" }))
    }
}

pub(super) async fn not_found(request: HttpRequest) -> HttpResponse {
    let message = format!("Cannot {} {}", request.method(), request.path());
    HttpResponse::NotFound().json(json!({ "message": message, "error": "Not Found", "statusCode": 404 }))
}
