//! `/device/verify`: a person compares or types the code (RFC 8628 §3.3), and goes on to Postiz or declines.
//!
//! A GET of the page changes nothing, so a link preview or a prefetch can't use up a code. It gives the browser its key, so that
//! two clicks on *Continue* have the same one. `GET /device/continue` does change something: it begins the authorization as
//! the form does, for the browser that did so before, because `form-action` restricts forms and not links.

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::flow::{CodeRefused, Entry, ToPostiz};
use crate::grant::{CodeProblem, Done, UserCode};
use crate::http::pages::{Action, Page, Retry};
use crate::http::protocol::{Body, ClientError};
use crate::http::sender::{Navigation, passes_csrf_check};
use crate::http::visitor::Visitor;

/// In the query of the page that a typed code is answered with: the proof that it was typed in this browser.
const TYPED: &str = "typed";

/// Asks for the code, or shows the login that has it.
pub async fn page(request: HttpRequest, visitor: Visitor) -> HttpResponse {
    let visitor = visitor.giving_key();
    match linked(&request, &visitor) {
        Ok((code, entry)) => view(visitor, code, entry, Retry::Reload).await,
        Err(page) => visitor.show(&page),
    }
}

/// Leads from a typed code to its login, or carries out the person's choice.
pub async fn decide(request: HttpRequest, visitor: Visitor, body: Result<Body, ClientError>) -> HttpResponse {
    let visitor = visitor.giving_key();
    let (code, action) = match submitted(&request, &visitor, body) {
        Ok(submitted) => submitted,
        Err(page) => return visitor.show(&page),
    };
    let (viewer, retry) = (visitor.viewer().clone(), Retry::Submit(code, action));
    match action {
        Action::View => match &viewer.browser {
            // A page at an address of its own: a step back to it sends no form again.
            Some(browser) => {
                let (base_path, typed) = (visitor.server_url().base_path(), browser.proof_of_typing(code));
                visitor.redirect(&format!("{base_path}/device/verify?code={code}&{TYPED}={typed}"))
            }
            None => view(visitor, code, Entry::Typed, retry).await,
        },
        Action::Continue => {
            let outcome = visitor.flow().confirm(code, viewer).await;
            to_postiz(visitor, code, outcome, retry)
        }
        Action::Deny => match visitor.flow().deny(code, viewer).await {
            Ok(grant) => visitor.about(grant).show(&Page::Done(Done::Denied)),
            Err(refused) => show_refused(visitor, code, &refused, retry),
        },
    }
}

/// The way to Postiz again, for the browser that confirmed the code.
pub async fn resume(request: HttpRequest, visitor: Visitor) -> HttpResponse {
    match linked(&request, &visitor) {
        Ok((code, _)) => {
            let outcome = visitor.flow().resume(code, visitor.viewer().clone()).await;
            to_postiz(visitor, code, outcome, Retry::Reload)
        }
        Err(page) => visitor.show(&page),
    }
}

/// The code in the query. Without one, and for a link on another site's page, the person types it. A page of another site, or one
/// that embeds ours, looks nothing up: it could use up its visitor's wrong codes.
fn linked(request: &HttpRequest, visitor: &Visitor) -> Result<(UserCode, Entry), Page> {
    let query = || url::form_urlencoded::parse(request.query_string().as_bytes());
    // The CLI sends `code`, RFC 8628's complete URI `user_code`.
    let is_code = |name: &str, value: &str| matches!(name, "code" | "user_code") && !value.is_empty();
    let enter = Page::EnterCode { problem: None, typed: String::new() };
    let Some((_, text)) = query().find(|(name, value)| is_code(name, value)) else { return Err(enter) };
    match Navigation::of(request, visitor.server_url()) {
        Navigation::Direct => {}
        Navigation::OtherSite => return Err(enter),
        Navigation::NotFollowed => return Err(Page::CrossSite),
    }
    // Nothing of the link's text gets on a page, except a code: anybody may have written it.
    let code: UserCode = text.parse().map_err(|_| malformed(String::new()))?;
    let is_proof =
        |proof: &str| visitor.viewer().browser.as_ref().is_some_and(|browser| browser.has_typed(code, proof));
    let was_typed = query().any(|(name, value)| name == TYPED && is_proof(&value));
    Ok((code, if was_typed { Entry::Typed } else { Entry::Link }))
}

/// The code in the form, which a page of ours has sent, and what the person chose.
fn submitted(
    request: &HttpRequest,
    visitor: &Visitor,
    body: Result<Body, ClientError>,
) -> Result<(UserCode, Action), Page> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Fields {
        user_code: String,
        action: String,
    }
    if !passes_csrf_check(request, visitor.server_url()) {
        visitor.log_refused_form(request);
        return Err(Page::CrossSite);
    }
    let fields = body.and_then(|body| body.fields::<Fields>()).map_err(|_| Page::BadRequest)?;
    let code = fields.user_code.parse().map_err(|_| malformed(fields.user_code))?;
    Ok((code, fields.action.parse().unwrap_or(Action::View)))
}

fn malformed(typed: String) -> Page {
    Page::EnterCode { problem: Some(CodeProblem::Malformed), typed }
}

async fn view(visitor: Visitor, code: UserCode, entry: Entry, retry: Retry) -> HttpResponse {
    match visitor.flow().view(code, visitor.viewer().clone(), entry).await {
        Ok(confirmation) => visitor.about(confirmation.grant).show(&Page::Confirm(Box::new(confirmation))),
        Err(refused) => show_refused(visitor, code, &refused, retry),
    }
}

fn to_postiz(visitor: Visitor, code: UserCode, outcome: Result<ToPostiz, CodeRefused>, retry: Retry) -> HttpResponse {
    match outcome {
        // The browser keeps its key for longer.
        Ok(to) => visitor.with_key(to.browser).redirect(to.url.as_str()),
        Err(refused) => show_refused(visitor, code, &refused, retry),
    }
}

fn show_refused(visitor: Visitor, code: UserCode, refused: &CodeRefused, retry: Retry) -> HttpResponse {
    match *refused {
        CodeRefused::Problem(problem, grant) => {
            visitor.about(grant).show(&Page::EnterCode { problem: Some(problem), typed: code.to_string() })
        }
        CodeRefused::NoCookie => visitor.show(&Page::NoCookie { retry }),
        CodeRefused::PostizUnavailable(grant, reason) => visitor.about(grant).show(&Page::TryAgain { reason, retry }),
        CodeRefused::Trouble(trouble) => visitor.show_trouble(trouble, retry),
    }
}
