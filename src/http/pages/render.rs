use askama::Template;

use crate::grant::Terminal;

use super::{
    Language, Page,
    message::{Message, Next, Tone},
    templates::{ConfirmTemplate, EnterCodeTemplate, Frame, HomeTemplate, MessageTemplate},
    texts::texts,
};

/// Shown if rendering fails, which no known page causes.
const LAST_RESORT: &str =
    "<!doctype html><html lang=\"en\"><title>Postiz CLI</title><p>Something went wrong. Try again in a moment.";

/// What every page needs besides its own data.
#[derive(Debug, Clone, Copy)]
pub struct PageContext<'a> {
    /// The path of `SERVER_URL` without its trailing slash; usually empty.
    pub base_path: &'a str,
    pub language: Language,
    /// The command that starts a new login at this server.
    pub login_command: &'a str,
    /// The grant's reference, which is also in the log.
    pub reference: Option<&'a str>,
}

/// Renders a whole HTML document.
pub fn render(page: &Page, context: &PageContext<'_>) -> String {
    let Some(texts) = texts(context.language) else {
        tracing::error!(language = context.language.tag(), "texts unreadable");
        return LAST_RESORT.to_owned();
    };
    let PageContext { base_path, language, login_command, reference } = *context;
    let frame = Frame { texts, base_path, language, login_command, reference };
    document(page, frame).unwrap_or_else(|error| {
        tracing::error!(%error, "page not rendered");
        LAST_RESORT.to_owned()
    })
}

fn document(page: &Page, frame: Frame<'_>) -> askama::Result<String> {
    let texts = frame.texts;
    let (common, done, problem) = (&texts.common, &texts.done, &texts.problem);
    let say = |message| MessageTemplate { frame, message }.render();
    let home_page = || Next::Visit { path: "/", label: &common.home_page };
    let enter_code = || Next::Visit { path: "/device/verify", label: &common.enter_code };
    match page {
        Page::Home => HomeTemplate { frame }.render(),
        Page::EnterCode { problem, typed } => EnterCodeTemplate::new(frame, problem.as_ref(), typed).render(),
        Page::Confirm(confirm) => ConfirmTemplate::new(frame, confirm).render(),
        Page::Done { terminal: Terminal::SignedIn } => say(Message::new(Tone::Good, &done.signed_in, Next::Nothing)),
        Page::Done { terminal: Terminal::Waiting } => say(Message::new(Tone::Good, &done.waiting, Next::Nothing)),
        Page::Done { terminal: Terminal::Inactive } => say(Message::new(Tone::Wait, &done.inactive, Next::Run)),
        Page::TokenRefused => say(Message::new(Tone::Bad, &done.token_refused, Next::Nothing)),
        Page::Replaced => say(Message::new(Tone::Bad, &done.replaced, Next::Run)),
        Page::Denied => say(Message::new(Tone::Stop, &done.denied, Next::Run)),
        Page::TryAgain { reason, retry } => say(Message::try_again(*reason, retry, texts)),
        Page::ApproveAgain { user_code, reason } => say(Message::approve_again(user_code, *reason, texts)),
        Page::WrongBrowser => say(Message::new(Tone::Bad, &problem.wrong_browser, Next::Nothing)),
        Page::WrongBrowserEnded => say(Message::new(Tone::Stop, &problem.wrong_browser_ended, Next::Run)),
        Page::LinkSpent => say(Message::new(Tone::Bad, &problem.link_spent, Next::Run)),
        Page::TooManyTries { retry_after_seconds } => say(Message::too_many_tries(*retry_after_seconds, texts)),
        Page::OneMoment { retry } => say(Message::one_moment(retry, texts)),
        Page::Overloaded { retry, retry_after_seconds } => say(Message::overloaded(retry, *retry_after_seconds, texts)),
        Page::CrossSite => say(Message::new(Tone::Stop, &problem.cross_site, enter_code())),
        Page::NotFound => say(Message::new(Tone::Bad, &problem.not_found, home_page())),
        Page::MethodNotAllowed => say(Message::new(Tone::Bad, &problem.method_not_allowed, home_page())),
        Page::BadRequest => say(Message::new(Tone::Bad, &problem.bad_request, enter_code())),
        Page::Internal => say(Message::new(Tone::Bad, &problem.internal, home_page())),
    }
}
