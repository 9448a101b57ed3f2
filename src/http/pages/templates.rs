//! The data of each page in `templates/`. What a page says is decided here and in `render.rs`.

use askama::Template;

use super::{ASSETS_PATH, Action, Language, Retry, assets};
use crate::config::Config;
use crate::flow::Confirmation;
use crate::grant::Proximity;
use crate::http::protocol::login_command;

/// What every page needs besides its own data.
#[derive(Debug, Clone, Copy)]
pub struct PageContext<'a> {
    pub config: &'a Config,
    pub language: &'static Language,
    /// The grant's reference, which is also in the log.
    pub reference: Option<&'a str>,
    /// Postiz in a browser, if its address is known.
    pub postiz_url: Option<&'a str>,
}

impl PageContext<'_> {
    /// The path of `SERVER_URL` without its trailing slash; usually empty.
    pub(super) fn base_path(&self) -> &str {
        self.config.server_url.base_path()
    }

    fn login_command(&self) -> String {
        login_command(&self.config.server_url)
    }

    fn operator_name(&self) -> &str {
        self.config.operator_name.as_deref().unwrap_or_else(|| self.text("common.about_server"))
    }

    fn text(&self, key: &str) -> &'static str {
        self.language.text(key)
    }

    /// The text before and after a placeholder, which is marked up in between.
    fn around(&self, key: &str, placeholder: &str) -> (&'static str, &'static str) {
        let text = self.text(key);
        text.split_once(placeholder).unwrap_or((text, ""))
    }

    fn asset(&self, file: &str) -> String {
        [self.base_path(), ASSETS_PATH, assets::digested(file)].concat()
    }
}

#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct MessageTemplate<'a> {
    pub(super) context: &'a PageContext<'a>,
    pub(super) tone: Tone,
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    pub(super) next: Next<'a>,
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
        retry: Retry,
        label: &'a str,
        after: Option<u64>,
    },
}

#[derive(Template)]
#[template(path = "home.html")]
pub(super) struct HomeTemplate<'a> {
    pub(super) context: &'a PageContext<'a>,
}

#[derive(Template)]
#[template(path = "enter_code.html")]
pub(super) struct EnterCodeTemplate<'a> {
    pub(super) context: &'a PageContext<'a>,
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
    context: &'a PageContext<'a>,
    confirm: &'a Confirmation,
    title: &'a str,
    /// What the person will see at Postiz, or what the approval costs.
    at_postiz: &'a str,
    /// The warning that the login was, or may have been, started on another network.
    elsewhere: Option<&'a str>,
    /// Shown if the terminal no longer polls. Approving would not help then, so *Deny* becomes the main button.
    inactive: Option<&'a str>,
    continue_label: &'a str,
    field: CodeField<'a>,
}

impl<'a> ConfirmTemplate<'a> {
    pub(super) fn new(context: &'a PageContext<'a>, confirm: &'a Confirmation) -> Self {
        let text = |key| context.text(key);
        let own = confirm.has_own_client;
        let inactive = if own { "confirm.inactive_own_client" } else { "confirm.inactive" };
        let elsewhere = match (confirm.proximity, confirm.prefilled) {
            (Proximity::OtherNetwork, false) => Some("confirm.other_network_to_type"),
            (Proximity::OtherNetwork, true) => Some("confirm.other_network"),
            (Proximity::CannotTell, false) => Some("confirm.unknown_network_to_type"),
            (Proximity::CannotTell, true) | (Proximity::SameNetwork, _) => None,
        };
        Self {
            context,
            confirm,
            title: text(if confirm.prefilled { "confirm.title" } else { "confirm.title_to_type" }),
            at_postiz: text(if own { "confirm.postiz_shows_code" } else { "confirm.ends_other_logins" }),
            elsewhere: elsewhere.map(text),
            inactive: confirm.inactive.then(|| text(inactive)),
            continue_label: text(if confirm.inactive { "confirm.continue_anyway" } else { "confirm.continue" }),
            field: CodeField::default(),
        }
    }
}
