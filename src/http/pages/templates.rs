//! The data of each page in `templates/`. Decisions are made here and in `render.rs`, so that templates hold no logic.

use std::net::IpAddr;

use askama::Template;

use super::texts::{Texts, Words};
use super::{ASSETS_PATH, Language, Retry, assets};
use crate::flow::Confirmation;
use crate::grant::Proximity;

/// What every page needs besides its own data.
#[derive(Debug, Clone, Copy)]
pub struct PageContext<'a> {
    /// The path of `SERVER_URL` without its trailing slash; usually empty.
    pub base_path: &'a str,
    /// `SERVER_URL`, for a person who came by another name of this server.
    pub server_url: &'a str,
    pub language: Language,
    /// The command that starts a new login at this server.
    pub login_command: &'a str,
    /// The grant's reference, which is also in the log.
    pub reference: Option<&'a str>,
    /// Who runs this server: `OPERATOR_NAME` and `OPERATOR_URL`.
    pub operator_name: Option<&'a str>,
    pub operator_url: Option<&'a str>,
    /// Postiz in a browser, if its address is known.
    pub postiz_url: Option<&'a str>,
}

/// The data of `base.html`.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) context: &'a PageContext<'a>,
    pub(super) texts: &'a Texts,
}

impl Frame<'_> {
    fn asset(&self, file: &str) -> String {
        [self.context.base_path, ASSETS_PATH, assets::digested(file)].concat()
    }

    /// Renders a page that says what happened and offers one next step.
    pub(super) fn say(self, tone: Tone, words: &Words, next: Next<'_>) -> askama::Result<String> {
        self.show(tone, &words.title, &words.text, next)
    }

    pub(super) fn show(self, tone: Tone, title: &str, text: &str, next: Next<'_>) -> askama::Result<String> {
        MessageTemplate { frame: self, tone, title, text, next }.render()
    }
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessageTemplate<'a> {
    frame: Frame<'a>,
    tone: Tone,
    title: &'a str,
    text: &'a str,
    next: Next<'a>,
}

/// Chooses the icon above the title.
#[derive(Clone, Copy)]
pub(super) enum Tone {
    Good,
    Wait,
    /// The person, or a security check, stopped it.
    Stop,
    Bad,
}

/// The button or command below the text.
pub(super) enum Next<'a> {
    Nothing,
    /// Show the command that starts a new login.
    Run,
    Visit {
        base: &'a str,
        path: &'static str,
        label: &'a str,
    },
    /// Repeat the request. With `after`, the page presses its button by itself after that number of seconds.
    Again {
        retry: &'a Retry,
        label: &'a str,
        after: Option<u64>,
    },
}

#[derive(Template)]
#[template(path = "home.html")]
pub(super) struct HomeTemplate<'a> {
    pub(super) frame: Frame<'a>,
}

#[derive(Template)]
#[template(path = "enter_code.html")]
pub(super) struct EnterCodeTemplate<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) title: &'a str,
    pub(super) field: CodeField<'a>,
    /// Shown with the command that starts a new login: this one has ended.
    pub(super) over: Option<&'a str>,
}

/// The data of `code_field.html`.
#[derive(Clone, Copy, Default)]
pub(super) struct CodeField<'a> {
    pub(super) typed: &'a str,
    /// What is wrong with the typed code, for the person to correct it.
    pub(super) wrong: Option<&'a str>,
    /// The page has nothing to read first, so the field gets the focus and a pasted code is sent at once.
    pub(super) alone: bool,
}

#[derive(Template)]
#[template(path = "confirm.html")]
pub(super) struct ConfirmTemplate<'a> {
    frame: Frame<'a>,
    confirm: &'a Confirmation,
    title: &'a str,
    /// For screen readers: the letters apart, so that they are read one by one.
    spelled: String,
    /// The sentence with the name that the client gives itself: before the name, the name, after it.
    name: Option<(&'a str, &'a str, &'a str)>,
    /// The sentence that names the organization: before and after the link to Postiz.
    organization: (&'a str, &'a str),
    /// What the person will see at Postiz, or what the approval costs.
    at_postiz: &'a str,
    /// The warning that the login was, or may have been, started on another network.
    elsewhere: Option<&'a str>,
    /// Shown if the terminal no longer polls. Approving would not help then, so *Deny* becomes the main button.
    inactive: Option<&'a str>,
    started: String,
    expires: String,
    /// Shown only if it differs from the requester.
    viewer: Option<IpAddr>,
    continue_label: &'a str,
    field: CodeField<'a>,
}

impl<'a> ConfirmTemplate<'a> {
    pub(super) fn new(frame: Frame<'a>, confirm: &'a Confirmation) -> Self {
        let texts = &frame.texts.confirm;
        let own = confirm.has_own_client;
        let inactive = if own { &texts.inactive_own_client } else { &texts.inactive };
        Self {
            frame,
            confirm,
            title: if confirm.prefilled { &texts.title } else { &texts.title_to_type },
            spelled: confirm.user_code.to_string().chars().flat_map(|letter| [letter, ' ']).collect(),
            name: confirm.client_name.as_deref().map(|name| {
                let (before, after) = around(&texts.client_name, "{name}");
                (before, name, after)
            }),
            organization: around(&texts.organization, "{postiz}"),
            at_postiz: if own { &texts.postiz_shows_code } else { &texts.ends_other_logins },
            elsewhere: match (confirm.proximity, confirm.prefilled) {
                (Proximity::OtherNetwork, false) => Some(&texts.other_network_to_type),
                (Proximity::OtherNetwork, true) => Some(&texts.other_network),
                (Proximity::CannotTell, false) => Some(&texts.unknown_network_to_type),
                (Proximity::CannotTell, true) | (Proximity::SameNetwork, _) => None,
            },
            inactive: confirm.inactive.then_some(inactive),
            started: frame.texts.common.ago(confirm.age),
            expires: frame.texts.common.within(confirm.remaining),
            viewer: confirm.viewer.filter(|_| confirm.proximity != Proximity::SameNetwork),
            continue_label: if confirm.inactive { &texts.continue_anyway } else { &texts.r#continue },
            field: CodeField::default(),
        }
    }
}

/// The text before and after a placeholder, which is marked up in between.
fn around<'a>(text: &'a str, placeholder: &str) -> (&'a str, &'a str) {
    text.split_once(placeholder).unwrap_or((text, ""))
}
