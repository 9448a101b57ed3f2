//! Which status, words, icon and next step each page has.

use std::time::Duration;

use actix_web::http::StatusCode;
use askama::Template as _;

use super::templates::{CodeField, ConfirmTemplate, EnterCodeTemplate, HomeTemplate, MessageTemplate, Next, Tone};
use super::{Action, Page, PageContext, Retry};
use crate::grant::{CodeProblem, Done};
use crate::limits::whole_seconds;
use crate::postiz::Reason;

/// Shown if rendering fails, which no known page causes.
const LAST_RESORT: &str =
    "<!doctype html><html lang=\"en\"><title>Postiz CLI</title><p>Something went wrong. Try again in a moment.";

/// A rate-limited page that has to wait no longer than this repeats its request by itself.
const SHORT_WAIT: Duration = Duration::from_secs(5);
const ONE_MOMENT_SECONDS: u64 = 4;

type Rendered = (StatusCode, askama::Result<String>);

/// The page's status, and the whole HTML document.
pub fn render(page: &Page, context: &PageContext<'_>) -> (StatusCode, String) {
    let (status, html) = rendered(page, context);
    let html = html.unwrap_or_else(|error| {
        tracing::error!(%error, "page not rendered");
        LAST_RESORT.to_owned()
    });
    (status, html)
}

fn rendered(page: &Page, context: &PageContext<'_>) -> Rendered {
    let language = context.language;
    let say = |status, tone, key: &str, next| say(context, status, tone, key, next);
    let visit = |base, path, key| Next::Visit { base, path, label: language.text(key) };
    let home_page = || visit(context.base_path(), "/", "common.home_page");
    let enter_code = |base| visit(base, "/device/verify", "common.enter_code");
    let again = |retry: &Retry, after| Next::Again { retry: *retry, label: language.text("common.try_again"), after };
    match page {
        Page::Home => (StatusCode::OK, HomeTemplate { context }.render()),
        Page::EnterCode { problem, typed } => code_page(context, *problem, typed),
        Page::Confirm(confirmation) => (StatusCode::OK, ConfirmTemplate::new(context, confirmation).render()),
        Page::Done(done) => done_page(context, *done),
        Page::TryAgain { reason, retry } => trouble(context, *reason, "trouble.still_open", again(retry, None)),
        Page::ApproveAgain { user_code, reason } => {
            let (retry, label) = (Retry::Submit(*user_code, Action::Continue), language.text("common.approve_again"));
            trouble(context, *reason, "trouble.approve_again", Next::Again { retry, label, after: None })
        }
        Page::RateLimited { retry_after, retry } if *retry_after <= SHORT_WAIT => {
            let after = Some(whole_seconds(*retry_after));
            say(StatusCode::TOO_MANY_REQUESTS, Tone::Wait, "problem.busy", again(retry, after))
        }
        Page::RateLimited { retry_after, retry } => {
            let title = language.text("problem.too_many_tries.title");
            let text = language.wait("problem.too_many_tries.text", *retry_after);
            let message = MessageTemplate { context, tone: Tone::Wait, title, text: &text, next: again(retry, None) };
            (StatusCode::TOO_MANY_REQUESTS, message.render())
        }
        Page::OneMoment { retry } => {
            let next = again(retry, Some(ONE_MOMENT_SECONDS));
            say(StatusCode::SERVICE_UNAVAILABLE, Tone::Wait, "problem.one_moment", next)
        }
        Page::NoCookie { retry } => say(StatusCode::FORBIDDEN, Tone::Bad, "problem.no_cookie", again(retry, None)),
        Page::CrossSite => {
            let next = enter_code(context.config.server_url.as_str());
            say(StatusCode::FORBIDDEN, Tone::Stop, "problem.cross_site", next)
        }
        Page::NotFound => say(StatusCode::NOT_FOUND, Tone::Bad, "problem.not_found", home_page()),
        Page::BadRequest => {
            say(StatusCode::BAD_REQUEST, Tone::Bad, "problem.bad_request", enter_code(context.base_path()))
        }
        Page::Internal => say(StatusCode::INTERNAL_SERVER_ERROR, Tone::Bad, "problem.internal", home_page()),
    }
}

/// A page that says what happened and offers one next step, by the title and the text at this place of the file.
fn say(context: &PageContext<'_>, status: StatusCode, tone: Tone, key: &str, next: Next<'_>) -> Rendered {
    let text = |part| context.language.text(&format!("{key}.{part}"));
    (status, MessageTemplate { context, tone, title: text("title"), text: text("text"), next }.render())
}

fn code_page(context: &PageContext<'_>, problem: Option<CodeProblem>, typed: &str) -> Rendered {
    let text = |key: &str| context.language.text(key);
    let correct = |wrong| {
        let field = CodeField { typed, wrong, alone: true };
        EnterCodeTemplate { context, title: text("enter.title"), field, over: None }.render()
    };
    let key = problem.map(|problem| format!("enter.{}", <&str>::from(problem))).unwrap_or_default();
    match problem {
        None => (StatusCode::OK, correct(None)),
        Some(CodeProblem::Malformed | CodeProblem::Unknown) => (StatusCode::BAD_REQUEST, correct(Some(text(&key)))),
        Some(CodeProblem::Expired | CodeProblem::Used) => {
            let (title, over) = (text(&format!("{key}.title")), Some(text(&format!("{key}.text"))));
            let page = EnterCodeTemplate { context, title, field: CodeField::default(), over };
            (StatusCode::BAD_REQUEST, page.render())
        }
        Some(CodeProblem::Denied) => done_page(context, Done::Denied),
    }
}

fn done_page(context: &PageContext<'_>, done: Done) -> Rendered {
    let (status, tone, next) = match done {
        Done::SignedIn | Done::Waiting => (StatusCode::OK, Tone::Good, Next::Nothing),
        Done::Inactive => (StatusCode::OK, Tone::Wait, Next::Run),
        Done::TokenRefused => (StatusCode::OK, Tone::Bad, Next::Run),
        Done::Replaced => (StatusCode::CONFLICT, Tone::Bad, Next::Run),
        Done::Denied => (StatusCode::OK, Tone::Stop, Next::Run),
        Done::WrongBrowser => (StatusCode::FORBIDDEN, Tone::Bad, Next::Nothing),
        Done::Stopped => (StatusCode::FORBIDDEN, Tone::Stop, Next::Run),
        Done::LinkExpired => (StatusCode::BAD_REQUEST, Tone::Bad, Next::Run),
    };
    say(context, status, tone, &format!("done.{}", <&str>::from(done)), next)
}

/// A request to Postiz that failed. `text` is what the person can do, unless the operator has to act first.
fn trouble(context: &PageContext<'_>, reason: Reason, text: &str, next: Next<'_>) -> Rendered {
    let (title, text) = match reason {
        Reason::ClientRefused => ("client_refused", "trouble.operator"),
        Reason::RegistrationRefused => ("client_refused", "trouble.registration_operator"),
        Reason::ClientForgotten => ("code_refused", text),
        other => (other.into(), text),
    };
    let (title, text) = (context.language.text(&format!("trouble.{title}")), context.language.text(text));
    (StatusCode::BAD_GATEWAY, MessageTemplate { context, tone: Tone::Wait, title, text, next }.render())
}
