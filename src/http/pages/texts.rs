//! Every sentence that a person reads, in ten languages: `locales/*.json`, one struct field for each key.
//!
//! A field that a file lacks, or a key that no field knows, fails the tests. Placeholders such as `{minutes}` are followed by
//! abbreviations that have no plural, so that no language needs rules.

use std::sync::LazyLock;

use serde::Deserialize;

use super::Language;

/// A title and the sentence under it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    pub(super) title: String,
    pub(super) text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Texts {
    pub(super) common: Common,
    pub(super) home: Home,
    pub(super) enter: Enter,
    pub(super) confirm: Confirm,
    pub(super) done: Done,
    pub(super) trouble: Trouble,
    pub(super) problem: Problem,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Common {
    pub(super) copy: String,
    pub(super) copied: String,
    pub(super) reference: String,
    pub(super) try_again: String,
    pub(super) approve_again: String,
    pub(super) enter_code: String,
    pub(super) start_page: String,
    just_now: String,
    minutes_ago: String,
    in_minutes: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Home {
    pub(super) title: String,
    pub(super) text: String,
    pub(super) run: String,
    pub(super) have_code: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Enter {
    pub(super) title: String,
    pub(super) label: String,
    pub(super) hint: String,
    pub(super) submit: String,
    pub(super) caution: String,
    pub(super) malformed: String,
    pub(super) unknown: String,
    pub(super) expired: Words,
    pub(super) used: Words,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirm {
    pub(super) title: String,
    pub(super) title_typed: String,
    pub(super) access: String,
    pub(super) other_network: String,
    pub(super) several_browsers: String,
    pub(super) signed_in: String,
    pub(super) silent: String,
    pub(super) started: String,
    pub(super) from: String,
    pub(super) same_network: String,
    pub(super) you: String,
    pub(super) expires: String,
    pub(super) r#continue: String,
    pub(super) continue_anyway: String,
    pub(super) deny: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Done {
    pub(super) signed_in: Words,
    pub(super) waiting: Words,
    pub(super) silent: Words,
    pub(super) replaced: Words,
    pub(super) denied: Words,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trouble {
    pub(super) unreachable: String,
    pub(super) slow: String,
    pub(super) failed: String,
    pub(super) refused: String,
    pub(super) spent: String,
    pub(super) unreadable: String,
    pub(super) still_open: String,
    pub(super) approve_again: String,
    pub(super) operator: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Problem {
    pub(super) wrong_browser: Words,
    pub(super) link_spent: Words,
    pub(super) too_many_tries: Words,
    pub(super) one_moment: Words,
    pub(super) cross_site: Words,
    pub(super) not_found: Words,
    pub(super) method_not_allowed: Words,
    pub(super) bad_request: Words,
    pub(super) internal: Words,
}

impl Common {
    /// "2 min ago"; below a minute "just now".
    pub(super) fn ago(&self, seconds: u64) -> String {
        match seconds / 60 {
            0 => self.just_now.clone(),
            minutes => self.minutes_ago.replace("{minutes}", &minutes.to_string()),
        }
    }

    /// "in 3 min".
    pub(super) fn within(&self, seconds: u64) -> String {
        in_minutes(&self.in_minutes, seconds)
    }
}

/// Puts minutes in for `{minutes}`, rounded up: nobody should come back too early.
pub(super) fn in_minutes(text: &str, seconds: u64) -> String {
    text.replace("{minutes}", &seconds.div_ceil(60).max(1).to_string())
}

#[allow(clippy::match_same_arms, reason = "the same macro, another file")]
fn source(language: Language) -> &'static str {
    match language {
        Language::English => include_str!("../../../locales/en.json"),
        Language::Hebrew => include_str!("../../../locales/he.json"),
        Language::Russian => include_str!("../../../locales/ru.json"),
        Language::Chinese => include_str!("../../../locales/zh.json"),
        Language::French => include_str!("../../../locales/fr.json"),
        Language::Spanish => include_str!("../../../locales/es.json"),
        Language::Portuguese => include_str!("../../../locales/pt.json"),
        Language::German => include_str!("../../../locales/de.json"),
        Language::Italian => include_str!("../../../locales/it.json"),
        Language::Japanese => include_str!("../../../locales/ja.json"),
    }
}

/// What is read once, at the first page. Files that the tests have read can be read here; `None` only spares the type a panic.
static TEXTS: LazyLock<Vec<Option<Texts>>> =
    LazyLock::new(|| Language::ALL.into_iter().map(|language| serde_json::from_str(source(language)).ok()).collect());

/// The sentences in a language.
pub(super) fn texts(language: Language) -> Option<&'static Texts> {
    TEXTS.get(language as usize)?.as_ref()
}
