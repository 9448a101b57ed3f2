//! Whether the organizations have a subscription, and what the API says of it.

use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, COOKIE, HeaderName};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use tokio::sync::Notify;

use crate::postiz::state::State;

/// Without a subscription, tokens are granted and each request with one is refused.
#[derive(Debug, Clone, Default)]
pub enum Subscription {
    #[default]
    Active,
    Missing,
    /// `GET /public/v1/is-connected` waits for the `Notify`, then says [`Subscription::Missing`].
    Held(Arc<Notify>),
}

/// A request to `GET /public/v1/is-connected`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    pub authorization: String,
    pub cookie: Option<String>,
}

/// Expects the bare token.
pub(super) async fn is_connected(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let header =
        |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let trial = Trial { authorization: header(AUTHORIZATION).unwrap_or_default(), cookie: header(COOKIE) };
    let (is_live, subscription) = {
        let mut memory = state.lock();
        memory.trials.push(trial.clone());
        (memory.is_live(&trial.authorization), memory.subscription.clone())
    };
    let refused = |reason| HttpResponse::Unauthorized().json(json!({ "msg": reason }));
    match subscription {
        _ if !is_live => refused("Invalid API key"),
        Subscription::Active => HttpResponse::Ok().json(json!({ "connected": true })),
        Subscription::Missing => refused("No subscription found"),
        Subscription::Held(until) => {
            until.notified().await;
            refused("No subscription found")
        }
    }
}
