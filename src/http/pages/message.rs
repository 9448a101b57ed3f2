//! The pages that say one thing: what happened, and the one next step.

use std::borrow::Cow;

use super::{
    Retry, Trouble,
    texts::{Texts, Words, in_minutes},
};

/// How long a page waits before it tries again by itself, in seconds.
const RETRY_AFTER: u8 = 4;

/// Chooses the sign above the title.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tone {
    /// It is done.
    Good,
    /// It goes on.
    Wait,
    /// It ended because somebody wanted that.
    Stop,
    /// It failed.
    Bad,
}

/// The one next step.
#[derive(Debug)]
pub(super) enum Next<'a> {
    Nothing,
    /// Run the login again.
    Run,
    /// Go to a page of ours; `path` is below that of `SERVER_URL`.
    Visit {
        path: &'static str,
        label: &'a str,
    },
    /// Ask for the same URL again; by itself `after` so many seconds.
    Reload {
        label: &'a str,
        after: Option<u8>,
    },
    /// Send the form of `/device/verify`; by itself `after` so many seconds.
    Submit {
        user_code: &'a str,
        action: Option<&'a str>,
        label: &'a str,
        after: Option<u8>,
    },
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

    /// The authorization code may still be good: the same URL once more.
    pub(super) fn try_again(reason: Trouble, texts: &'a Texts) -> Self {
        let next = Next::Reload { label: &texts.common.try_again, after: None };
        Self::trouble(reason, &texts.trouble.still_open, next, texts)
    }

    /// The authorization code is spent: to Postiz once more, for the same login.
    pub(super) fn approve_again(user_code: &'a str, reason: Trouble, texts: &'a Texts) -> Self {
        let next =
            Next::Submit { user_code, action: Some("continue"), label: &texts.common.approve_again, after: None };
        Self::trouble(reason, &texts.trouble.approve_again, next, texts)
    }

    fn trouble(reason: Trouble, text: &'a str, next: Next<'a>, texts: &'a Texts) -> Self {
        let trouble = &texts.trouble;
        let (title, text) = match reason {
            Trouble::Unreachable => (&trouble.unreachable, text),
            Trouble::Slow => (&trouble.slow, text),
            Trouble::Failed => (&trouble.failed, text),
            // Trying again is of no use before the operator has acted, so that comes first.
            Trouble::Refused => (&trouble.refused, trouble.operator.as_str()),
            Trouble::Spent => (&trouble.spent, text),
            Trouble::Unreadable => (&trouble.unreadable, text),
        };
        Self { tone: Tone::Wait, title, text: Cow::Borrowed(text), next }
    }

    pub(super) fn too_many_tries(seconds: u64, texts: &'a Texts) -> Self {
        let words = &texts.problem.too_many_tries;
        let text = in_minutes(&words.text, seconds);
        Self { tone: Tone::Wait, title: &words.title, text: Cow::Owned(text), next: Next::Nothing }
    }

    pub(super) fn one_moment(retry: &'a Retry, texts: &'a Texts) -> Self {
        let (label, after) = (texts.common.try_again.as_str(), Some(RETRY_AFTER));
        let next = match retry {
            Retry::Reload => Next::Reload { label, after },
            Retry::Submit { user_code, action } => Next::Submit { user_code, action: action.as_deref(), label, after },
        };
        Self::new(Tone::Wait, &texts.problem.one_moment, next)
    }
}
