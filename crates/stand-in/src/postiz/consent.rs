//! The stand-in's pages: consent and sign-in.

use actix_web::http::header::{COOKIE, HOST, LOCATION, SET_COOKIE};
use actix_web::web::{Data, Form};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use url::Url;

use crate::postiz::Event;
use crate::postiz::state::{Fields, Person, State, value};

/// Identifies the person by their browser.
const COOKIE_NAME: &str = "stand_in_person=";

#[derive(Template)]
#[template(path = "consent.html")]
struct Consent<'a> {
    client: &'a str,
    person: Person,
    fields: &'a [(String, String)],
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    return_url: Option<&'a str>,
}

/// Shows the consent page. A person who is signed out is sent to sign in first, with the same query.
pub(super) async fn page(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let fields = query(&request);
    let mut memory = state.lock();
    // These mean something else at Postiz; a request with them is a mistake.
    if fields.iter().any(|(name, _)| matches!(name.as_str(), "org" | "loggedAuth")) {
        return refused("org and loggedAuth are reserved");
    }
    if value(&fields, "response_type") != Some("code") {
        return refused("response_type must be one of the following values: code");
    }
    let client = match memory.check(&fields) {
        Ok((name, _)) => name.to_owned(),
        Err(reason) => return refused(reason),
    };
    if !memory.signed_in {
        return redirect(&format!("/auth?{}", request.query_string()));
    }
    memory.authorizations.push(fields.clone());
    let person = person(&request).unwrap_or_else(|| memory.new_person());
    drop(memory);
    state.report(Event::ConsentShown);
    let mut page = html(&Consent { client: &client, person, fields: &fields });
    if let Ok(cookie) = format!("{COOKIE_NAME}{person}; Path=/; HttpOnly; SameSite=Lax").try_into() {
        page.headers_mut().insert(SET_COOKIE, cookie);
    }
    page
}

/// Sends the browser back to the app, with a code or with `access_denied`.
pub(super) async fn decide(state: Data<State>, form: Form<Fields>) -> HttpResponse {
    let approves = value(&form, "decision") == Some("approve");
    let mut memory = state.lock();
    let redirect_uri = match memory.check(&form) {
        Ok((_, redirect_uri)) => redirect_uri,
        Err(reason) => return refused(reason),
    };
    let Ok(mut callback) = Url::parse(redirect_uri) else {
        return HttpResponse::InternalServerError().body("the registered callback is no URL");
    };
    let Some(person) = value(&form, "person").and_then(|person| person.parse().ok()) else {
        return refused("person is missing");
    };
    if approves {
        callback.query_pairs_mut().append_pair("code", &memory.approve(person, &form));
    } else {
        callback.query_pairs_mut().append_pair("error", "access_denied");
    }
    drop(memory);
    if let Some(app_state) = value(&form, "state") {
        callback.query_pairs_mut().append_pair("state", app_state);
    }
    state.report(if approves { Event::Approved } else { Event::Denied });
    redirect(callback.as_str())
}

/// Postiz's sign-in page keeps `returnUrl` and drops the rest of the query.
pub(super) async fn sign_in_page(request: HttpRequest) -> HttpResponse {
    html(&SignIn { return_url: value(&query(&request), "returnUrl") })
}

/// Redirects to `returnUrl` if that is a page of Postiz. Otherwise the consent page is lost.
pub(super) async fn sign_in(request: HttpRequest, state: Data<State>, form: Form<Fields>) -> HttpResponse {
    state.lock().signed_in = true;
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let is_same_origin = |to: &&str| Url::parse(to).is_ok_and(|to| Some(to.authority()) == host);
    match value(&form, "returnUrl").filter(is_same_origin) {
        Some(to) => redirect(to),
        None => HttpResponse::Ok().body("Signed in. There is no returnUrl to go back to."),
    }
}

/// The front end redirects every unknown path to its sign-in page, also an API request without `/api`.
pub(super) async fn unknown_path() -> HttpResponse {
    HttpResponse::TemporaryRedirect().insert_header((LOCATION, "/auth")).finish()
}

fn person(request: &HttpRequest) -> Option<Person> {
    let cookies = request.headers().get_all(COOKIE).filter_map(|line| line.to_str().ok());
    cookies.flat_map(|line| line.split("; ")).find_map(|cookie| cookie.strip_prefix(COOKIE_NAME)?.parse().ok())
}

fn query(request: &HttpRequest) -> Fields {
    url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect()
}

fn refused(reason: &'static str) -> HttpResponse {
    HttpResponse::BadRequest().body(reason)
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
