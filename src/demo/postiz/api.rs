//! The stand-in's API.

use actix_web::http::header::{AUTHORIZATION, ContentType, Header as _};
use actix_web::web::{Bytes, Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::Deserialize;
use serde_json::json;

use crate::demo::postiz::state::State;
use crate::demo::postiz::{Event, Exchange, Fault};
use crate::secret::Digest;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TokenRequest {
    grant_type: String,
    code: String,
    client_id: String,
    client_secret: String,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AppQuery {
    client_id: String,
}

/// Tells an app's name and callback to whoever knows its id.
pub(super) async fn registered_app(state: Data<State>, query: Query<AppQuery>) -> HttpResponse {
    let app = state.lock().app.clone();
    if query.client_id == app.client_id {
        HttpResponse::Ok().json(json!({ "app": { "name": "postiz-auth-server", "redirectUrl": app.redirect_uri } }))
    } else {
        HttpResponse::BadRequest()
            .json(json!({ "message": "Invalid client_id", "error": "Bad Request", "statusCode": 400 }))
    }
}

/// Exchanges a code, or does what it was told to do instead.
pub(super) async fn token(request: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    let Some(asked) = read(&request, &body) else {
        return HttpResponse::BadRequest()
            .json(json!({ "message": ["code must be a string"], "error": "Bad Request", "statusCode": 400 }));
    };
    let fault = {
        let mut memory = state.lock();
        let fits = memory.codes.get(&asked.code).is_some_and(|code| {
            let challenge = asked.code_verifier.as_ref().map(|verifier| s256(verifier));
            code.challenge == challenge && code.redirect_uri == asked.redirect_uri
        });
        memory.exchanges.push(Exchange {
            code: asked.code.clone(),
            redirect_uri: asked.redirect_uri.clone(),
            verifier_fits: fits,
            granted: false,
        });
        let fault = memory.faults.pop_front();
        if fault.as_ref().is_some_and(Fault::spends) {
            memory.spend(&asked.code);
        }
        fault
    };
    state.exchange_seen.notify_waiters();
    if let Some(fault) = &fault
        && let Some(answer) = fault.answer().await
    {
        state.tell(Event::ExchangeRefused);
        return answer;
    }
    grant(&request, &state, &asked, matches!(fault, Some(Fault::OddlyTyped)))
}

fn grant(request: &HttpRequest, state: &State, asked: &TokenRequest, oddly: bool) -> HttpResponse {
    let mut memory = state.lock();
    let app = &memory.app;
    let knows_secret = asked.client_id == app.client_id && asked.client_secret == app.client_secret;
    let demands_pkce = app.client_id.starts_with("pcd_");
    // Before the code is looked at: a wrong secret does not spend it.
    if !knows_secret || request.headers().contains_key(AUTHORIZATION) {
        state.tell(Event::ExchangeRefused);
        return HttpResponse::Unauthorized().json(json!({ "error": "invalid_client" }));
    }
    let good = memory.codes.get(&asked.code).is_some_and(|code| {
        let challenge = asked.code_verifier.as_ref().map(|verifier| s256(verifier));
        code.is_good()
            && (!demands_pkce
                || (challenge.is_some() && code.challenge == challenge && code.redirect_uri == asked.redirect_uri))
    });
    if asked.grant_type != "authorization_code" || !good {
        state.tell(Event::ExchangeRefused);
        return HttpResponse::BadRequest().json(json!({ "error": "invalid_grant" }));
    }
    let token = memory.spend(&asked.code);
    if let Some(exchange) = memory.exchanges.iter_mut().rev().find(|exchange| exchange.code == asked.code) {
        exchange.granted = true;
    }
    state.tell(Event::Exchanged);
    HttpResponse::Created().json(if oddly {
        json!({ "id": 7, "cus": null, "access_token": token, "scope": null })
    } else {
        json!({ "id": "org_1", "cus": "cus_billing", "access_token": token, "token_type": "bearer", "scope": "all" })
    })
}

/// Takes the token as it is: Postiz knows no `Bearer`.
pub(super) async fn integrations(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.is_some() && given == state.lock().live_token.as_deref() {
        state.tell(Event::TokenUsed);
        HttpResponse::Ok().json(json!([{ "id": "1", "name": "Stand-in channel", "identifier": "x" }]))
    } else {
        HttpResponse::Unauthorized().json(json!({ "msg": "Invalid API key" }))
    }
}

fn read(request: &HttpRequest, body: &[u8]) -> Option<TokenRequest> {
    match ContentType::parse(request) {
        Ok(ContentType(mime)) if mime.subtype() == "json" => serde_json::from_slice(body).ok(),
        _ => serde_urlencoded::from_bytes(body).ok(),
    }
}

fn s256(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).as_bytes())
}
