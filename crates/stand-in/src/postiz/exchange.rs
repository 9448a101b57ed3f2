//! The stand-in's token endpoint: a code for a token.

use actix_web::http::header::COOKIE;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde_json::json;

use crate::postiz::state::{Refusal, State};
use crate::postiz::token_request::{BadRequest, TokenRequest};
use crate::postiz::wire::Wire;
use crate::postiz::{Event, Exchange, Fault};

/// The code with which the server's `check` verifies its client secret.
const SELF_CHECK_CODE: &str = "made-up-by-postiz-auth-server-check";

/// Exchanges a code, unless the next fault says otherwise.
pub(super) async fn token(http: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    let parsed = TokenRequest::parse(http.content_type(), &body);
    let cookies = http.headers().get_all(COOKIE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    state.lock().cookies.extend(cookies);
    if let Ok(request) = &parsed
        && request.code == SELF_CHECK_CODE
    {
        return self_check(&state, request);
    }
    let (number, fault) = record(&state, parsed.as_ref().ok());
    let wire = Wire::of(&http);
    if let Some(fault) = &fault
        && let Some(answer) = fault.before(&wire).await
    {
        state.report(Event::ExchangeRefused);
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
    let account = match found {
        Ok(account) => account,
        Err(Refusal::InvalidClient) => return refuse(&state, 401, json!({ "error": "invalid_client" })),
        Err(Refusal::InvalidGrant) => return refuse(&state, 400, json!({ "error": "invalid_grant" })),
    };
    if let Some(fault) = &fault {
        fault.between().await;
    }
    let person = account.1;
    let token = {
        let mut memory = state.lock();
        memory.exchanges[number].granted = true;
        memory.grant(account)
    };
    state.report(Event::Exchanged);
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

/// A self-check belongs to no login: it is not recorded, and takes no fault.
fn self_check(state: &State, request: &TokenRequest) -> HttpResponse {
    match state.lock().find(request) {
        Err(Refusal::InvalidClient) => HttpResponse::Unauthorized().json(json!({ "error": "invalid_client" })),
        _ => HttpResponse::BadRequest().json(json!({ "error": "invalid_grant" })),
    }
}

/// Records an exchange. Returns its number and its fault.
fn record(state: &State, request: Option<&TokenRequest>) -> (usize, Option<Fault>) {
    let mut memory = state.lock();
    let exchange = Exchange {
        code: request.map(|request| request.code.clone()).unwrap_or_default(),
        client_id: request.map(|request| request.client_id.clone()).unwrap_or_default(),
        has_secret: request.is_some_and(|request| request.client_secret.is_some()),
        redirect_uri: request.and_then(|request| request.redirect_uri.clone()),
        verifier_matches: request.is_some_and(|request| memory.matches(request)),
        granted: false,
    };
    memory.exchanges.push(exchange);
    let (number, fault) = (memory.exchanges.len() - 1, memory.faults.pop_front());
    drop(memory);
    state.exchange_recorded.notify_waiters();
    (number, fault)
}

fn refuse(state: &State, status: u16, body: serde_json::Value) -> HttpResponse {
    state.report(Event::ExchangeRefused);
    let mut answer = if status == 401 { HttpResponse::Unauthorized() } else { HttpResponse::BadRequest() };
    answer.json(body)
}
