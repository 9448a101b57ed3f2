//! The stand-in's pages: consent, and sign-in before it.

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Form};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use url::Url;

use crate::demo::postiz::Event;
use crate::demo::postiz::state::State;

#[derive(Template)]
#[template(path = "demo/consent.html")]
struct Consent<'a> {
    fields: &'a [(String, String)],
}

#[derive(Template)]
#[template(path = "demo/sign_in.html")]
struct SignIn<'a> {
    return_url: Option<&'a str>,
}

type Fields = Vec<(String, String)>;

/// Asks the person; or sends them to sign in first, with the same query.
pub(super) async fn page(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let fields: Fields = url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
    let mut memory = state.lock();
    // At Postiz these mean something else; a request that carries them is broken.
    if fields.iter().any(|(name, _)| matches!(name.as_str(), "org" | "loggedAuth")) {
        return HttpResponse::BadRequest().body("org and loggedAuth are reserved");
    }
    if value(&fields, "client_id") != Some(&memory.app.client_id) || value(&fields, "response_type") != Some("code") {
        return HttpResponse::BadRequest().body("Invalid client_id or response_type");
    }
    if !memory.signed_in {
        return redirect(&format!("/auth?{}", request.query_string()));
    }
    memory.authorizations.push(fields.clone());
    drop(memory);
    state.tell(Event::ConsentShown);
    html(&Consent { fields: &fields })
}

/// Sends the person back to the app, with a code or with a refusal.
pub(super) async fn decide(state: Data<State>, form: Form<Fields>) -> HttpResponse {
    let approves = value(&form, "decision") == Some("approve");
    let mut memory = state.lock();
    let Ok(mut callback) = Url::parse(&memory.app.redirect_uri) else {
        return HttpResponse::InternalServerError().body("the registered callback is no URL");
    };
    if approves {
        let owned = |name| value(&form, name).map(str::to_owned);
        let code = memory.approve(owned("code_challenge"), owned("redirect_uri"));
        callback.query_pairs_mut().append_pair("code", &code);
    } else {
        callback.query_pairs_mut().append_pair("error", "access_denied");
    }
    drop(memory);
    if let Some(given) = value(&form, "state") {
        callback.query_pairs_mut().append_pair("state", given);
    }
    state.tell(if approves { Event::Approved } else { Event::Denied });
    redirect(callback.as_str())
}

/// Postiz's sign-in keeps nothing of the query but `returnUrl`.
pub(super) async fn sign_in_page(request: HttpRequest) -> HttpResponse {
    let fields: Fields = url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
    html(&SignIn { return_url: value(&fields, "returnUrl") })
}

pub(super) async fn sign_in(state: Data<State>, form: Form<Fields>) -> HttpResponse {
    state.lock().signed_in = true;
    redirect(value(&form, "returnUrl").unwrap_or("/"))
}

fn value<'a>(fields: &'a Fields, wanted: &str) -> Option<&'a str> {
    fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

fn redirect(to: &str) -> HttpResponse {
    HttpResponse::Found().insert_header((LOCATION, to)).finish()
}

fn html(page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(text) => HttpResponse::Ok().content_type("text/html; charset=utf-8").body(text),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}
