//! Pages that say what happened and offer one next step.

use std::borrow::Cow;

use super::{
    Retry,
    texts::{Texts, Words, put_minutes},
};
use crate::postiz::Reason;

const ONE_MOMENT_RETRY_SECONDS: u64 = 4;

/// Chooses the icon above the title.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tone {
    Good,
    Wait,
    /// The person, or a security check, stopped it.
    Stop,
    Bad,
}

/// The button or command below the text. With `after`, the page presses its button by itself after that number of seconds.
#[derive(Debug)]
pub(super) enum Next<'a> {
    Nothing,
    /// Show the command that starts a new login.
    Run,
    Visit {
        /// Below the path of `SERVER_URL`.
        path: &'static str,
        label: &'a str,
    },
    /// Load the same URL.
    Reload {
        label: &'a str,
        after: Option<u64>,
    },
    /// Send the form of `/device/verify`.
    Submit {
        user_code: &'a str,
        action: Option<&'a str>,
        label: &'a str,
        after: Option<u64>,
    },
}

impl<'a> Next<'a> {
    /// The request that the page answers, once more.
    fn again(retry: &'a Retry, after: Option<u64>, texts: &'a Texts) -> Self {
        let label = texts.common.try_again.as_str();
        match retry {
            Retry::Reload => Self::Reload { label, after },
            Retry::Submit { user_code, action } => Self::Submit { user_code, action: action.as_deref(), label, after },
        }
    }
}

#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) tone: Tone,
    pub(super) title: &'a str,
    pub(super) text: Cow<'a, str>,
    pub(super) next: Next<'a>,
}

impl<'a> Message<'a> {
    pub(super) fn new(tone: Tone, words: &'a Words, next: Next<'a>) -> Self {
        Self { tone, title: &words.title, text: Cow::Borrowed(&words.text), next }
    }

    pub(super) fn try_again(reason: Reason, retry: &'a Retry, texts: &'a Texts) -> Self {
        Self::failed_at_postiz(reason, &texts.trouble.still_open, Next::again(retry, None, texts), texts)
    }

    pub(super) fn approve_again(user_code: &'a str, reason: Reason, texts: &'a Texts) -> Self {
        let next =
            Next::Submit { user_code, action: Some("continue"), label: &texts.common.approve_again, after: None };
        Self::failed_at_postiz(reason, &texts.trouble.approve_again, next, texts)
    }

    fn failed_at_postiz(reason: Reason, text: &'a str, next: Next<'a>, texts: &'a Texts) -> Self {
        let trouble = &texts.trouble;
        let (title, text) = match reason {
            Reason::Unreachable => (&trouble.unreachable, text),
            Reason::Slow => (&trouble.slow, text),
            Reason::Failed => (&trouble.failed, text),
            // A retry fails until the operator acts, so the text says that first.
            Reason::ClientRefused => (&trouble.client_refused, trouble.operator.as_str()),
            Reason::RegistrationRefused => (&trouble.client_refused, trouble.registration_operator.as_str()),
            Reason::CodeRefused | Reason::ClientForgotten => (&trouble.code_refused, text),
            Reason::Unreadable => (&trouble.unreadable, text),
        };
        Self { tone: Tone::Wait, title, text: Cow::Borrowed(text), next }
    }

    pub(super) fn too_many_tries(seconds: u64, texts: &'a Texts) -> Self {
        let words = &texts.problem.too_many_tries;
        let text = put_minutes(&words.text, seconds);
        Self { tone: Tone::Wait, title: &words.title, text: Cow::Owned(text), next: Next::Nothing }
    }

    pub(super) fn one_moment(retry: &'a Retry, texts: &'a Texts) -> Self {
        Self::retrying(&texts.problem.one_moment, retry, ONE_MOMENT_RETRY_SECONDS, texts)
    }

    pub(super) fn overloaded(retry: &'a Retry, seconds: u64, texts: &'a Texts) -> Self {
        Self::retrying(&texts.problem.overloaded, retry, seconds, texts)
    }

    fn retrying(words: &'a Words, retry: &'a Retry, seconds: u64, texts: &'a Texts) -> Self {
        Self::new(Tone::Wait, words, Next::again(retry, Some(seconds), texts))
    }
}
