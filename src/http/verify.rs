//! `/device/verify`: a person compares or types the code (RFC 8628 §3.3), and goes on to Postiz or declines.
//!
//! A GET of the page changes nothing, so a link preview or a prefetch can't use up a code. It gives the browser its key, so that
//! two clicks on *Continue* have the same one. `GET /device/continue` does change something: it begins the authorization as
//! the form does, for the browser that did so before, because `form-action` restricts forms and not links.

use actix_web::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse};

use crate::flow::{CodeRefused, Confirmation, ToPostiz};
use crate::grant::CodeProblem;
use crate::http::entered_code::{Action, EnteredCode, TYPED, linked, submitted};
use crate::http::fetch_metadata::is_same_origin;
use crate::http::pages::{Page, Retry};
use crate::http::params::Body;
use crate::http::visitor::Visitor;

/// Asks for the code, or shows the login that has it.
pub async fn page(request: HttpRequest, visitor: Visitor) -> HttpResponse {
    let visitor = visitor.giving_key();
    match linked(&request, &visitor) {
        Ok(Some(code)) => {
            let outcome = visitor.flow().view(code.user_code, visitor.viewer().clone(), code.entry).await;
            answer(visitor, &code, outcome, Retry::Reload, confirm)
        }
        Ok(None) => enter_code(&visitor),
        Err(page) => visitor.show(&page),
    }
}

/// Leads from a typed code to its login, or carries out the person's choice.
pub async fn decide(request: HttpRequest, visitor: Visitor, body: Result<Body, actix_web::Error>) -> HttpResponse {
    let visitor = visitor.giving_key();
    let form = match submitted(&request, &visitor, body) {
        Ok(form) => form,
        Err(page) => return visitor.show(&page),
    };
    let (user_code, viewer) = (form.code.user_code, visitor.viewer().clone());
    match form.action {
        // A page at an address of its own: a step back to it sends no form again.
        Action::View if is_same_origin(&request) => {
            let base_path = visitor.server_url().base_path();
            visitor.redirect(&format!("{base_path}/device/verify?code={user_code}&{TYPED}=1"))
        }
        Action::View => {
            let outcome = visitor.flow().view(user_code, viewer, form.code.entry).await;
            answer(visitor, &form.code, outcome, form.retry, confirm)
        }
        Action::Continue => {
            let outcome = visitor.flow().confirm(user_code, viewer).await;
            answer(visitor, &form.code, outcome, form.retry, |visitor, to| to_postiz(&visitor, to))
        }
        Action::Deny => {
            let outcome = visitor.flow().deny(user_code, viewer).await;
            let denied = Page::EnterCode { problem: Some(CodeProblem::Denied), typed: String::new() };
            answer(visitor, &form.code, outcome, form.retry, |visitor, grant| visitor.about(grant).show(&denied))
        }
    }
}

/// The way to Postiz again, for the browser that confirmed the code.
pub async fn resume(request: HttpRequest, visitor: Visitor) -> HttpResponse {
    match linked(&request, &visitor) {
        Ok(Some(code)) => {
            let outcome = visitor.flow().resume(code.user_code, visitor.viewer().clone()).await;
            answer(visitor, &code, outcome, Retry::Reload, |visitor, to| to_postiz(&visitor, to))
        }
        Ok(None) => enter_code(&visitor),
        Err(page) => visitor.show(&page),
    }
}

fn enter_code(visitor: &Visitor) -> HttpResponse {
    visitor.show(&Page::EnterCode { problem: None, typed: String::new() })
}

fn answer<T>(
    visitor: Visitor,
    code: &EnteredCode,
    outcome: Result<T, CodeRefused>,
    retry: Retry,
    found: impl FnOnce(Visitor, T) -> HttpResponse,
) -> HttpResponse {
    match outcome {
        Ok(it) => found(visitor, it),
        Err(CodeRefused::Problem(problem, grant)) => {
            visitor.about(grant).show(&Page::EnterCode { problem: Some(problem), typed: code.typed.clone() })
        }
        Err(CodeRefused::NoCookie) => visitor.show(&Page::NoCookie { retry }),
        Err(CodeRefused::PostizUnavailable(grant, reason)) => {
            visitor.about(grant).show(&Page::TryAgain { reason, retry })
        }
        Err(CodeRefused::Trouble(trouble)) => visitor.show_trouble(trouble, retry),
    }
}

fn confirm(visitor: Visitor, confirmation: Confirmation) -> HttpResponse {
    visitor.about(confirmation.grant).show(&Page::Confirm(Box::new(confirmation)))
}

fn to_postiz(visitor: &Visitor, to: ToPostiz) -> HttpResponse {
    // 303: the browser must not send the form on to Postiz. Its key lives on.
    HttpResponse::SeeOther()
        .insert_header((LOCATION, String::from(to.url)))
        .insert_header((SET_COOKIE, visitor.cookie(&to.browser)))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish()
}
