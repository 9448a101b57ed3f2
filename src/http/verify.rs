//! `/device/verify`: a person compares or types the code (RFC 8628 §3.3) and goes on to Postiz.
//!
//! A GET changes nothing, so a link preview or a prefetch can't spend a code.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use tracing::info;

use crate::grant::{BrowserKey, Settled, Status, UserCode};
use crate::http::client_ip::same_network;
use crate::http::pages::{CodeProblem, Confirm, Network, Page, Retry, Terminal};
use crate::http::params::Body;
use crate::http::visitor::Visitor;
use crate::http::{Deps, browser_cookie, own_form};
use crate::store::{Decision, Login};

/// A terminal that has not asked for so long has probably gone away.
const SILENCE: Duration = Duration::from_secs(150);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Form {
    user_code: String,
    action: Option<String>,
}

/// Asks for the code, or shows the login that has it.
pub async fn page(request: HttpRequest, visitor: Visitor, deps: Data<Deps>) -> HttpResponse {
    // The CLI sends `code`, RFC 8628's complete URI `user_code`.
    let given = url::form_urlencoded::parse(request.query_string().as_bytes())
        .find(|(name, value)| matches!(name.as_ref(), "code" | "user_code") && !value.is_empty());
    let Some((_, typed)) = given else {
        return visitor.show(&Page::EnterCode { problem: None, typed: String::new() });
    };
    let Ok(user_code) = typed.parse::<UserCode>() else {
        return problem(&visitor, CodeProblem::Malformed, &typed);
    };
    match deps.store.login(user_code).await {
        Ok(None) => problem(&visitor, CodeProblem::Unknown, &typed),
        Ok(Some(login)) => {
            let visitor = visitor.about(login.id);
            match login.status {
                Status::Denied => visitor.show(&Page::Denied),
                Status::Approved | Status::Delivered => problem(&visitor, CodeProblem::Used, ""),
                Status::Pending | Status::Authorizing if login.expired => problem(&visitor, CodeProblem::Expired, ""),
                Status::Pending | Status::Authorizing => {
                    let browser = browser_cookie::read(&request, &deps.server_url);
                    visitor.show(&Page::Confirm(confirm(
                        user_code,
                        &login,
                        deps.client_ip.of(&request),
                        browser.as_ref(),
                    )))
                }
            }
        }
        Err(_) => visitor.show(&Page::OneMoment { retry: Retry::Reload }),
    }
}

/// Takes the person's decision: on to Postiz, or no.
pub async fn decide(
    request: HttpRequest,
    visitor: Visitor,
    deps: Data<Deps>,
    body: Result<Body, actix_web::Error>,
) -> HttpResponse {
    if !own_form::is_own(&request, &deps.server_url) {
        return visitor.show(&Page::CrossSite);
    }
    let Some(form) = body.ok().and_then(|body| body.fields::<Form>().ok()) else {
        return visitor.show(&Page::BadRequest);
    };
    let Ok(user_code) = form.user_code.parse::<UserCode>() else {
        return problem(&visitor, CodeProblem::Malformed, &form.user_code);
    };
    let denies = form.action.as_deref() == Some("deny");
    let browser = browser_cookie::read(&request, &deps.server_url).unwrap_or_else(BrowserKey::random);
    let decided = if denies { deps.store.deny(user_code).await } else { deps.store.begin(user_code, &browser).await };
    match decided {
        Ok(Decision::Taken(grant)) if denies => {
            deps.waiters.wake(grant, Settled::Denied);
            info!(grant = grant.reference(), "grant denied on our page");
            visitor.about(grant).show(&Page::Denied)
        }
        Ok(Decision::Taken(grant)) => {
            info!(grant = grant.reference(), "grant begun: the person goes to Postiz");
            to_postiz(&deps, user_code, &browser)
        }
        Ok(Decision::Settled(grant, Settled::Denied)) => visitor.about(grant).show(&Page::Denied),
        Ok(Decision::Settled(grant, Settled::Approved)) => problem(&visitor.about(grant), CodeProblem::Used, ""),
        Ok(Decision::Expired(grant)) => problem(&visitor.about(grant), CodeProblem::Expired, ""),
        Ok(Decision::Unknown) => problem(&visitor, CodeProblem::Unknown, &form.user_code),
        Err(_) => {
            let retry = Retry::Submit { user_code: user_code.to_string(), action: form.action };
            visitor.show(&Page::OneMoment { retry })
        }
    }
}

fn problem(visitor: &Visitor, problem: CodeProblem, typed: &str) -> HttpResponse {
    visitor.show(&Page::EnterCode { problem: Some(problem), typed: typed.to_owned() })
}

fn to_postiz(deps: &Deps, user_code: UserCode, browser: &BrowserKey) -> HttpResponse {
    let url = deps.postiz.authorization_url(browser, &browser.state(user_code));
    // 303: whatever the browser does with the answer, it does not send the form there.
    HttpResponse::SeeOther()
        .insert_header((LOCATION, String::from(url)))
        .insert_header((SET_COOKIE, browser_cookie::set(browser, &deps.server_url)))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish()
}

fn confirm(user_code: UserCode, login: &Login, viewer: Option<IpAddr>, browser: Option<&BrowserKey>) -> Confirm {
    let network = match (login.requester, viewer) {
        (Some(requester), Some(viewer)) => match same_network(requester, viewer) {
            Some(true) => Network::Same,
            Some(false) => Network::Other,
            None => Network::CannotTell,
        },
        _ => Network::CannotTell,
    };
    let confirmed_elsewhere = login.browser.is_some_and(|known| browser.is_none_or(|ours| ours.digest() != known));
    Confirm {
        user_code: user_code.to_string(),
        prefilled: network != Network::Other,
        opened_seconds_ago: login.age.as_secs(),
        expires_in_seconds: login.remaining.as_secs(),
        requester: login.requester,
        viewer,
        network,
        terminal: if login.silence > SILENCE { Terminal::Silent } else { Terminal::Waiting },
        several_browsers: login.browsers > 1 || confirmed_elsewhere,
    }
}
