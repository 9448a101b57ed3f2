//! The stand-in's OAuth metadata (RFC 8414) and dynamic client registration (RFC 7591).

use actix_web::http::header::{CACHE_CONTROL, HOST};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use url::{Host, Url};

use crate::postiz::api::not_found;
use crate::postiz::state::State;
use crate::postiz::wire::Wire;
use crate::postiz::{Event, Metadata};

/// The path of newer versions.
pub(super) async fn metadata(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let metadata = state.lock().metadata;
    match metadata {
        Metadata::WithRegistration | Metadata::WithoutRegistration => document(&request, metadata),
        Metadata::WithoutSuffix | Metadata::Missing => not_found(request).await,
    }
}

/// The path of older versions.
pub(super) async fn metadata_without_suffix(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let metadata = state.lock().metadata;
    if metadata == Metadata::WithoutSuffix { document(&request, metadata) } else { not_found(request).await }
}

fn document(request: &HttpRequest, metadata: Metadata) -> HttpResponse {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut document = json!({
        "issuer": format!("http://{host}/api"),
        "authorization_endpoint": format!("http://{host}/oauth/authorize"),
        "token_endpoint": format!("http://{host}/api/oauth/token"),
        "response_types_supported": ["code"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
    });
    if metadata == Metadata::WithRegistration {
        document["registration_endpoint"] = json!(format!("http://{host}/api/oauth/register"));
    }
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "public, max-age=3600")).json(document)
}

/// Registers a client, unless the next fault says otherwise. Needs no login.
pub(super) async fn register(http: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    let fault = {
        let mut memory = state.lock();
        memory.registrations_begun += 1;
        memory.registration_faults.pop_front()
    };
    state.registration_recorded.notify_waiters();
    if state.lock().metadata != Metadata::WithRegistration {
        return not_found(http).await;
    }
    let wire = Wire::of(&http);
    if let Some(fault) = &fault {
        if let Some(answer) = fault.before(&wire).await {
            return answer;
        }
        fault.between().await;
    }
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return refused("invalid_client_metadata", "the body is not JSON");
    };
    let uris = request["redirect_uris"].as_array().into_iter().flatten();
    let uris: Option<Vec<String>> = uris.map(|uri| uri.as_str().map(str::to_owned)).collect();
    let uris = uris.filter(|uris| !uris.is_empty() && uris.iter().all(|uri| is_allowed(uri)));
    let Some(redirect_uris) = uris.filter(|_| !state.lock().verifies_domains) else {
        return refused(
            "invalid_redirect_uri",
            "redirect_uris must be https or on this machine, and of a verified domain",
        );
    };
    let is_public = match request["token_endpoint_auth_method"].as_str() {
        Some("none") => true,
        None | Some("client_secret_post") => false,
        Some(_) => return refused("invalid_client_metadata", "token_endpoint_auth_method is not supported"),
    };
    let name = request["client_name"].as_str().unwrap_or("MCP client");
    let client = state.lock().register(name, redirect_uris, is_public);
    state.report(Event::Registered);
    let mut answer = json!({
        "client_id": client.client_id,
        "client_id_issued_at": 1_764_110_880,
        "client_name": client.client_name,
        "redirect_uris": client.redirect_uris,
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": if is_public { "none" } else { "client_secret_post" },
        "scope": "all",
    });
    if let Some(secret) = client.client_secret {
        answer["client_secret"] = json!(secret);
    }
    HttpResponse::Created().json(answer)
}

/// https, or http on this machine.
fn is_allowed(uri: &str) -> bool {
    let Ok(uri) = Url::parse(uri) else { return false };
    let is_here = match uri.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    uri.scheme() == "https" || uri.scheme() == "http" && is_here
}

fn refused(error: &str, description: &str) -> HttpResponse {
    HttpResponse::BadRequest().json(json!({ "error": error, "error_description": description }))
}
