//! One struct for each page in `templates/`. Decisions are made here, so that templates hold no logic.

use std::net::IpAddr;

use askama::Template;

use crate::flow::Confirmation;
use crate::grant::{Proximity, Terminal};

use super::{
    ASSETS_PATH, CodeProblem, Language, assets,
    message::{Message, Next, Tone},
    texts::Texts,
};

/// The data of `base.html`.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) texts: &'a Texts,
    pub(super) base_path: &'a str,
    pub(super) language: Language,
    pub(super) login_command: &'a str,
    pub(super) reference: Option<&'a str>,
}

impl Frame<'_> {
    fn asset(&self, file: &str) -> String {
        [self.base_path, ASSETS_PATH, assets::digested(file)].concat()
    }
}

#[derive(Template)]
#[template(path = "home.html")]
pub(super) struct HomeTemplate<'a> {
    pub(super) frame: Frame<'a>,
}

#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct MessageTemplate<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) message: Message<'a>,
}

#[derive(Template)]
#[template(path = "enter_code.html")]
pub(super) struct EnterCodeTemplate<'a> {
    frame: Frame<'a>,
    title: &'a str,
    typed: &'a str,
    /// Shown at the field, for the person to correct the code.
    wrong: Option<&'a str>,
    /// Shown with the command that starts a new login: this one has ended.
    over: Option<&'a str>,
    /// The page has nothing to read first, so the field gets the focus and a pasted code is sent at once.
    alone: bool,
}

impl<'a> EnterCodeTemplate<'a> {
    pub(super) fn new(frame: Frame<'a>, problem: Option<&'a CodeProblem>, typed: &'a str) -> Self {
        let enter = &frame.texts.enter;
        let page = Self { frame, title: &enter.title, typed, wrong: None, over: None, alone: true };
        match problem {
            None => page,
            Some(CodeProblem::Malformed) => Self { wrong: Some(&enter.malformed), ..page },
            Some(CodeProblem::Unknown) => Self { wrong: Some(&enter.unknown), ..page },
            Some(CodeProblem::Expired) => {
                Self { title: &enter.expired.title, over: Some(&enter.expired.text), typed: "", alone: false, ..page }
            }
            Some(CodeProblem::Used) => {
                Self { title: &enter.used.title, over: Some(&enter.used.text), typed: "", alone: false, ..page }
            }
        }
    }
}

#[derive(Template)]
#[template(path = "confirm.html")]
pub(super) struct ConfirmTemplate<'a> {
    frame: Frame<'a>,
    confirm: &'a Confirmation,
    title: &'a str,
    /// For screen readers: the letters apart, so that they are read one by one.
    spelled: String,
    /// The warning that the login was, or may have been, started on another network.
    elsewhere: Option<&'a str>,
    /// Shown if the terminal no longer polls.
    inactive: &'a str,
    /// What the person will see at Postiz, or what the approval costs.
    at_postiz: &'a str,
    started: String,
    expires: String,
    /// Shown only if it differs from the requester.
    viewer: Option<IpAddr>,
    /// Approving would not help, so the page makes *Deny* its main button.
    discouraged: bool,
    continue_label: &'a str,
    // The data of `code_field.html`.
    typed: &'a str,
    wrong: Option<&'a str>,
    alone: bool,
}

impl<'a> ConfirmTemplate<'a> {
    pub(super) fn new(frame: Frame<'a>, confirm: &'a Confirmation) -> Self {
        let texts = &frame.texts.confirm;
        let discouraged = confirm.terminal == Terminal::Inactive;
        Self {
            frame,
            confirm,
            title: if confirm.prefilled { &texts.title } else { &texts.title_to_type },
            spelled: confirm.user_code.to_string().chars().flat_map(|letter| [letter, ' ']).collect(),
            elsewhere: match (confirm.proximity, confirm.prefilled) {
                (Proximity::OtherNetwork, false) => Some(&texts.other_network_to_type),
                (Proximity::OtherNetwork, true) => Some(&texts.other_network),
                (Proximity::CannotTell, false) => Some(&texts.unknown_network_to_type),
                (Proximity::CannotTell, true) | (Proximity::SameNetwork, _) => None,
            },
            inactive: if confirm.has_own_client { &texts.inactive_own_client } else { &texts.inactive },
            at_postiz: if confirm.has_own_client { &texts.postiz_shows_code } else { &texts.ends_other_logins },
            started: frame.texts.common.ago(confirm.age.as_secs()),
            expires: frame.texts.common.within(confirm.remaining.as_secs()),
            viewer: confirm.viewer.filter(|_| confirm.proximity != Proximity::SameNetwork),
            discouraged,
            continue_label: if discouraged { &texts.continue_anyway } else { &texts.r#continue },
            typed: "",
            wrong: None,
            alone: false,
        }
    }
}
