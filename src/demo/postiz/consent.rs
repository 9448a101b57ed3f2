//! The stand-in's pages: consent, and sign-in before it.

use actix_web::http::header::{COOKIE, HOST, LOCATION, SET_COOKIE};
use actix_web::web::{Data, Form};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use url::Url;

use crate::demo::postiz::Event;
use crate::demo::postiz::state::{Fields, Person, State, value};

/// Which person a browser is.
const COOKIE_NAME: &str = "stand_in_person=";

#[derive(Template)]
#[template(path = "demo/consent.html")]
struct Consent<'a> {
    person: Person,
    fields: &'a [(String, String)],
}

#[derive(Template)]
#[template(path = "demo/sign_in.html")]
struct SignIn<'a> {
    return_url: Option<&'a str>,
}

/// Asks the person; or sends them to sign in first, with the same query.
pub(super) async fn page(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let fields = query(&request);
    let mut memory = state.lock();
    // At Postiz these mean something else; a request that carries them is broken.
    if fields.iter().any(|(name, _)| matches!(name.as_str(), "org" | "loggedAuth")) {
        return refused("org and loggedAuth are reserved");
    }
    if value(&fields, "response_type") != Some("code") {
        return refused("response_type must be one of the following values: code");
    }
    if let Err(why) = memory.check(&fields) {
        return refused(why);
    }
    if !memory.signed_in {
        return redirect(&format!("/auth?{}", request.query_string()));
    }
    memory.authorizations.push(fields.clone());
    let person = person(&request).unwrap_or_else(|| memory.new_person());
    drop(memory);
    state.tell(Event::ConsentShown);
    let mut page = html(&Consent { person, fields: &fields });
    if let Ok(cookie) = format!("{COOKIE_NAME}{person}; Path=/; HttpOnly; SameSite=Lax").try_into() {
        page.headers_mut().insert(SET_COOKIE, cookie);
    }
    page
}

/// Sends the person back to the app, with a code or with a refusal.
pub(super) async fn decide(state: Data<State>, form: Form<Fields>) -> HttpResponse {
    let approves = value(&form, "decision") == Some("approve");
    let mut memory = state.lock();
    if let Err(why) = memory.check(&form) {
        return refused(why);
    }
    let Ok(mut callback) = Url::parse(&memory.app.redirect_uri) else {
        return HttpResponse::InternalServerError().body("the registered callback is no URL");
    };
    let Some(person) = value(&form, "person").and_then(|person| person.parse().ok()) else {
        return refused("nobody is signed in");
    };
    if approves {
        callback.query_pairs_mut().append_pair("code", &memory.approve(person, &form));
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
    html(&SignIn { return_url: value(&query(&request), "returnUrl") })
}

/// Goes on to `returnUrl`, if that is a page of Postiz; otherwise the consent page is lost.
pub(super) async fn sign_in(request: HttpRequest, state: Data<State>, form: Form<Fields>) -> HttpResponse {
    state.lock().signed_in = true;
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let is_ours = |to: &&str| Url::parse(to).is_ok_and(|to| Some(to.authority()) == host);
    match value(&form, "returnUrl").filter(is_ours) {
        Some(to) => redirect(to),
        None => HttpResponse::Ok().body("Signed in. Nothing is left of what you came for."),
    }
}

/// The front end sends whatever it does not know to its sign-in page, an API request without `/api` as well.
pub(super) async fn elsewhere() -> HttpResponse {
    HttpResponse::TemporaryRedirect().insert_header((LOCATION, "/auth")).finish()
}

fn person(request: &HttpRequest) -> Option<Person> {
    let cookies = request.headers().get_all(COOKIE).filter_map(|line| line.to_str().ok());
    cookies.flat_map(|line| line.split("; ")).find_map(|cookie| cookie.strip_prefix(COOKIE_NAME)?.parse().ok())
}

fn query(request: &HttpRequest) -> Fields {
    url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect()
}

fn refused(why: &'static str) -> HttpResponse {
    HttpResponse::BadRequest().body(why)
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
