//! The stand-in's token endpoint: a code for a token.

use actix_web::web::{Bytes, Data};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde_json::json;

use crate::demo::postiz::state::{Refusal, State};
use crate::demo::postiz::token_request::{BadRequest, TokenRequest};
use crate::demo::postiz::wire::Wire;
use crate::demo::postiz::{Event, Exchange, Fault};
use crate::postiz::MADE_UP_CODE;

/// Exchanges a code, or does what it was told to do instead.
pub(super) async fn token(http: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    let parsed = TokenRequest::parse(http.content_type(), &body);
    if let Ok(request) = &parsed
        && request.code == MADE_UP_CODE
    {
        return tried_secret(&state, request);
    }
    let (number, fault) = arrived(&state, parsed.as_ref().ok());
    let wire = Wire::of(&http);
    if let Some(fault) = &fault
        && let Some(answer) = fault.before(&wire).await
    {
        state.tell(Event::ExchangeRefused);
        return answer;
    }
    let request = match parsed {
        Ok(request) => request,
        Err(BadRequest(message)) => {
            // Here `error` is the name of the status, not a code of RFC 6749.
            return refuse(&state, 400, json!({ "message": message, "error": "Bad Request", "statusCode": 400 }));
        }
    };
    if request.grant_type != "authorization_code" {
        return refuse(&state, 400, json!({ "error": "unsupported_grant_type" }));
    }
    let found = state.lock().find(&request);
    let person = match found {
        Ok(person) => person,
        Err(Refusal::InvalidClient) => return refuse(&state, 401, json!({ "error": "invalid_client" })),
        Err(Refusal::InvalidGrant) => return refuse(&state, 400, json!({ "error": "invalid_grant" })),
    };
    if let Some(fault) = &fault {
        fault.between().await;
    }
    let token = {
        let mut memory = state.lock();
        memory.exchanges[number].granted = true;
        memory.grant(person)
    };
    state.tell(Event::Exchanged);
    let good = json!({
        "id": format!("org_{person}"),
        "cus": "cus_billing",
        "access_token": token,
        "token_type": "bearer",
        "scope": "all",
    });
    match fault {
        Some(fault) => fault.after(&wire, good).await,
        None => HttpResponse::Created().json(good),
    }
}

/// The server's own check of its secret is nobody's login: it is neither written down nor made to fail.
fn tried_secret(state: &State, request: &TokenRequest) -> HttpResponse {
    match state.lock().find(request) {
        Err(Refusal::InvalidClient) => HttpResponse::Unauthorized().json(json!({ "error": "invalid_client" })),
        _ => HttpResponse::BadRequest().json(json!({ "error": "invalid_grant" })),
    }
}

/// Writes an exchange down; tells its number and how it is to go wrong.
fn arrived(state: &State, request: Option<&TokenRequest>) -> (usize, Option<Fault>) {
    let mut memory = state.lock();
    let exchange = Exchange {
        code: request.map(|request| request.code.clone()).unwrap_or_default(),
        redirect_uri: request.and_then(|request| request.redirect_uri.clone()),
        verifier_fits: request.is_some_and(|request| memory.fits(request)),
        granted: false,
    };
    memory.exchanges.push(exchange);
    let (number, fault) = (memory.exchanges.len() - 1, memory.faults.pop_front());
    drop(memory);
    state.exchange_seen.notify_waiters();
    (number, fault)
}

fn refuse(state: &State, status: u16, body: serde_json::Value) -> HttpResponse {
    state.tell(Event::ExchangeRefused);
    let mut answer = if status == 401 { HttpResponse::Unauthorized() } else { HttpResponse::BadRequest() };
    answer.json(body)
}
