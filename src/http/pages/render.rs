//! Which words, icon and next step each page shows.

use std::time::Duration;

use askama::Template as _;

use super::templates::{CodeField, ConfirmTemplate, EnterCodeTemplate, Frame, HomeTemplate, Next, Tone};
use super::texts::{Texts, Words, put_minutes, texts};
use super::{Page, PageContext, Retry};
use crate::grant::{CodeProblem, Done};
use crate::limits::whole_seconds;
use crate::postiz::Reason;

/// Shown if rendering fails, which no known page causes.
const LAST_RESORT: &str =
    "<!doctype html><html lang=\"en\"><title>Postiz CLI</title><p>Something went wrong. Try again in a moment.";

/// A rate-limited page that has to wait no longer than this repeats its request by itself.
const SHORT_WAIT: Duration = Duration::from_secs(5);
const ONE_MOMENT_SECONDS: u64 = 4;

/// Renders a whole HTML document.
pub fn render(page: &Page, context: &PageContext<'_>) -> String {
    let Some(texts) = texts(context.language) else {
        tracing::error!(language = context.language.tag(), "texts unreadable");
        return LAST_RESORT.to_owned();
    };
    document(page, Frame { context, texts }).unwrap_or_else(|error| {
        tracing::error!(%error, "page not rendered");
        LAST_RESORT.to_owned()
    })
}

fn document(page: &Page, frame: Frame<'_>) -> askama::Result<String> {
    let Texts { common, problem, .. } = frame.texts;
    let home_page = Next::Visit { base: frame.context.base_path, path: "/", label: &common.home_page };
    let at = |base| Next::Visit { base, path: "/device/verify", label: &common.enter_code };
    let again = |retry, after| Next::Again { retry, label: &common.try_again, after };
    match page {
        Page::Home => HomeTemplate { frame }.render(),
        Page::EnterCode { problem, typed } => enter_code(frame, *problem, typed),
        Page::Confirm(confirm) => ConfirmTemplate::new(frame, confirm).render(),
        Page::Done(how) => done(frame, *how),
        Page::TryAgain { reason, retry } => {
            trouble(frame, *reason, &frame.texts.trouble.still_open, again(retry, None))
        }
        Page::ApproveAgain { user_code, reason } => {
            let retry = &Retry::Submit { user_code: user_code.clone(), action: Some("continue".to_owned()) };
            let next = Next::Again { retry, label: &common.approve_again, after: None };
            trouble(frame, *reason, &frame.texts.trouble.approve_again, next)
        }
        Page::RateLimited { retry_after, retry } if *retry_after <= SHORT_WAIT => {
            frame.say(Tone::Wait, &problem.busy, again(retry, Some(whole_seconds(*retry_after).max(1))))
        }
        Page::RateLimited { retry_after, retry } => {
            let Words { title, text } = &problem.too_many_tries;
            frame.show(Tone::Wait, title, &put_minutes(text, *retry_after), again(retry, None))
        }
        Page::OneMoment { retry } => frame.say(Tone::Wait, &problem.one_moment, again(retry, Some(ONE_MOMENT_SECONDS))),
        Page::NoCookie { retry } => frame.say(Tone::Bad, &problem.no_cookie, again(retry, None)),
        Page::CrossSite => frame.say(Tone::Stop, &problem.cross_site, at(frame.context.server_url)),
        Page::NotFound => frame.say(Tone::Bad, &problem.not_found, home_page),
        Page::MethodNotAllowed => frame.say(Tone::Bad, &problem.method_not_allowed, home_page),
        Page::BadRequest => frame.say(Tone::Bad, &problem.bad_request, at(frame.context.base_path)),
        Page::Internal => frame.say(Tone::Bad, &problem.internal, home_page),
    }
}

fn enter_code(frame: Frame<'_>, problem: Option<CodeProblem>, typed: &str) -> askama::Result<String> {
    let enter = &frame.texts.enter;
    let correct = |wrong| {
        let field = CodeField { typed, wrong, alone: true };
        EnterCodeTemplate { frame, title: &enter.title, field, over: None }.render()
    };
    let over = |words: &Words| {
        let (title, over) = (&words.title, Some(words.text.as_str()));
        EnterCodeTemplate { frame, title, field: CodeField::default(), over }.render()
    };
    match problem {
        None => correct(None),
        Some(CodeProblem::Malformed) => correct(Some(&enter.malformed)),
        Some(CodeProblem::Unknown) => correct(Some(&enter.unknown)),
        Some(CodeProblem::Expired) => over(&enter.expired),
        Some(CodeProblem::Used) => over(&enter.used),
        Some(CodeProblem::Denied) => done(frame, Done::Denied),
    }
}

fn done(frame: Frame<'_>, how: Done) -> askama::Result<String> {
    let done = &frame.texts.done;
    match how {
        Done::SignedIn => frame.say(Tone::Good, &done.signed_in, Next::Nothing),
        Done::Waiting => frame.say(Tone::Good, &done.waiting, Next::Nothing),
        Done::Inactive => frame.say(Tone::Wait, &done.inactive, Next::Run),
        Done::TokenRefused => frame.say(Tone::Bad, &done.token_refused, Next::Run),
        Done::Replaced => frame.say(Tone::Bad, &done.replaced, Next::Run),
        Done::Denied => frame.say(Tone::Stop, &done.denied, Next::Run),
        Done::WrongBrowser => frame.say(Tone::Bad, &done.wrong_browser, Next::Nothing),
        Done::Stopped => frame.say(Tone::Stop, &done.stopped, Next::Run),
        Done::LinkExpired => frame.say(Tone::Bad, &done.link_expired, Next::Run),
    }
}

/// A request to Postiz that failed. `text` is what the person can do, unless the operator has to act first.
fn trouble(frame: Frame<'_>, reason: Reason, text: &str, next: Next<'_>) -> askama::Result<String> {
    let trouble = &frame.texts.trouble;
    let (title, text) = match reason {
        Reason::Unreachable => (&trouble.unreachable, text),
        Reason::Slow => (&trouble.slow, text),
        Reason::Failed => (&trouble.failed, text),
        Reason::ClientRefused => (&trouble.client_refused, trouble.operator.as_str()),
        Reason::RegistrationRefused => (&trouble.client_refused, trouble.registration_operator.as_str()),
        Reason::CodeRefused | Reason::ClientForgotten => (&trouble.code_refused, text),
        Reason::Unreadable => (&trouble.unreadable, text),
    };
    frame.show(Tone::Wait, title, text, next)
}
