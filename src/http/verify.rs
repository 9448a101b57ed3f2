//! `/device/verify`: a person compares or types the code (RFC 8628 §3.3), and goes on to Postiz or declines.
//!
//! A GET changes nothing, so a link preview or a prefetch can't use up a code.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};

use crate::flow::{CodeRefused, Confirmation, ToPostiz};
use crate::http::browser_cookie;
use crate::http::entered_code::{Action, CodeForm, EnteredCode, LinkedCode};
use crate::http::pages::{CodeProblem, Page, Retry};
use crate::http::visitor::Visitor;
use crate::limits::whole_seconds;

/// A registration at Postiz takes milliseconds, or a few seconds if Postiz stalls.
const BUSY_RETRY_SECONDS: u64 = 3;

/// Asks for the code, or shows the login that has it.
pub async fn page(visitor: Visitor, code: LinkedCode) -> HttpResponse {
    let LinkedCode(Some(code)) = code else {
        return visitor.show(&Page::EnterCode { problem: None, typed: String::new() });
    };
    let outcome = visitor.flow().view(code.user_code, visitor.viewer(), code.entry).await;
    answer(visitor, &code, outcome, Retry::Reload, confirm)
}

/// Shows the login of a typed code, or carries out the person's choice.
pub async fn decide(visitor: Visitor, form: CodeForm) -> HttpResponse {
    let (retry, code) = (form.retry(), form.code);
    match form.action {
        Action::View => {
            let outcome = visitor.flow().view(code.user_code, visitor.viewer(), code.entry).await;
            answer(visitor, &code, outcome, retry, confirm)
        }
        Action::Continue => {
            let outcome = visitor.flow().confirm(code.user_code, visitor.viewer()).await;
            answer(visitor, &code, outcome, retry, |visitor, to| to_postiz(&visitor, to))
        }
        Action::Deny => {
            let outcome = visitor.flow().deny(code.user_code, visitor.viewer()).await;
            answer(visitor, &code, outcome, retry, |visitor, grant| visitor.about(grant).show(&Page::Denied))
        }
    }
}

/// The way to Postiz again, for the browser that confirmed the code: `form-action` does not restrict a link.
pub async fn resume(visitor: Visitor, code: LinkedCode) -> HttpResponse {
    let LinkedCode(Some(code)) = code else {
        return visitor.show(&Page::EnterCode { problem: None, typed: String::new() });
    };
    let outcome = visitor.flow().resume(code.user_code, visitor.viewer()).await;
    answer(visitor, &code, outcome, Retry::Reload, |visitor, to| to_postiz(&visitor, to))
}

fn answer<T>(
    visitor: Visitor,
    code: &EnteredCode,
    outcome: Result<T, CodeRefused>,
    retry: Retry,
    found: impl FnOnce(Visitor, T) -> HttpResponse,
) -> HttpResponse {
    let problem = |problem, typed: &str| Page::EnterCode { problem: Some(problem), typed: typed.to_owned() };
    match outcome {
        Ok(it) => found(visitor, it),
        Err(CodeRefused::Denied(grant)) => visitor.about(grant).show(&Page::Denied),
        Err(CodeRefused::Used(grant)) => visitor.about(grant).show(&problem(CodeProblem::Used, "")),
        Err(CodeRefused::Expired(grant)) => visitor.about(grant).show(&problem(CodeProblem::Expired, "")),
        Err(CodeRefused::Unknown) => visitor.show(&problem(CodeProblem::Unknown, &code.typed)),
        Err(CodeRefused::RateLimited { retry_after }) => {
            visitor.show(&Page::TooManyTries { retry_after_seconds: whole_seconds(retry_after).max(1) })
        }
        Err(CodeRefused::Overloaded) => visitor.overloaded(retry),
        Err(CodeRefused::Unavailable) => visitor.show(&Page::OneMoment { retry }),
        Err(CodeRefused::PostizUnavailable(grant, reason)) => {
            visitor.about(grant).show(&Page::TryAgain { reason, retry })
        }
        Err(CodeRefused::Busy(grant)) => {
            visitor.about(grant).show(&Page::Overloaded { retry, retry_after_seconds: BUSY_RETRY_SECONDS })
        }
    }
}

fn confirm(visitor: Visitor, confirmation: Confirmation) -> HttpResponse {
    visitor.about(confirmation.grant).show(&Page::Confirm(confirmation))
}

fn to_postiz(visitor: &Visitor, to: ToPostiz) -> HttpResponse {
    // 303: the browser must not send the form on to Postiz.
    HttpResponse::SeeOther()
        .insert_header((LOCATION, String::from(to.url)))
        .insert_header((SET_COOKIE, browser_cookie::set(&to.browser, visitor.server_url())))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish()
}
