//! One struct for each file of `templates/` that is a page: what the template may ask, decided here and not there.

use std::net::IpAddr;

use askama::Template;

use super::{
    ASSETS_PATH, CodeProblem, Confirm, Language, Network, Terminal, assets,
    message::{Message, Next, Tone},
    texts::Texts,
};

/// What a person types to start over.
const LOGIN: &str = "postiz auth:login";

/// What `base.html` needs.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) texts: &'a Texts,
    pub(super) base_path: &'a str,
    pub(super) language: Language,
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
    pub(super) command: &'a str,
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
    /// Something to correct in the field.
    wrong: Option<&'a str>,
    /// This login is over: a new one is the next step, not another try.
    over: Option<&'a str>,
    /// What lets the same code through the second time.
    again: Option<&'a str>,
    /// The field is what the page is for: it has the focus, and a pasted code goes off at once.
    alone: bool,
}

impl<'a> EnterCodeTemplate<'a> {
    pub(super) fn new(frame: Frame<'a>, problem: Option<&'a CodeProblem>, typed: &'a str) -> Self {
        let enter = &frame.texts.enter;
        let page = Self { frame, title: &enter.title, typed, wrong: None, over: None, again: None, alone: true };
        match problem {
            None => page,
            Some(CodeProblem::Malformed) => Self { wrong: Some(&enter.malformed), ..page },
            Some(CodeProblem::Unknown) => Self { wrong: Some(&enter.unknown), ..page },
            Some(CodeProblem::Again { mark }) => Self { wrong: Some(&enter.again), again: Some(mark), ..page },
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
    confirm: &'a Confirm,
    title: &'a str,
    /// The code as a screen reader should say it: letter by letter.
    spelled: String,
    /// The login comes from another network.
    elsewhere: Option<&'a str>,
    started: String,
    expires: String,
    /// Shown beside the requester's address where the two differ.
    viewer: Option<IpAddr>,
    /// Going on would do the person no good.
    discouraged: bool,
    continue_label: &'a str,
    // The field of `code_field.html`:
    typed: &'a str,
    wrong: Option<&'a str>,
    alone: bool,
}

impl<'a> ConfirmTemplate<'a> {
    pub(super) fn new(frame: Frame<'a>, confirm: &'a Confirm) -> Self {
        let texts = &frame.texts.confirm;
        let discouraged = confirm.terminal != Terminal::Waiting;
        Self {
            frame,
            confirm,
            title: if confirm.prefilled { &texts.title } else { &texts.title_typed },
            spelled: confirm.user_code.chars().flat_map(|letter| [letter, ' ']).collect(),
            elsewhere: match (confirm.network, confirm.prefilled) {
                (Network::Other, false) => Some(&texts.other_network),
                (Network::Other, true) => Some(&texts.other_network_typed),
                (Network::Same | Network::CannotTell, _) => None,
            },
            started: frame.texts.common.ago(confirm.opened_seconds_ago),
            expires: frame.texts.common.within(confirm.expires_in_seconds),
            viewer: confirm.viewer.filter(|_| confirm.network != Network::Same),
            discouraged,
            continue_label: if discouraged { &texts.continue_anyway } else { &texts.r#continue },
            typed: "",
            wrong: None,
            // There is something to read before.
            alone: false,
        }
    }
}
