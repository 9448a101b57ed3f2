//! Every sentence on the pages, in ten languages. `locales/*.json` has one key for each field here; the tests fail on a missing and on
//! an unknown key.
//!
//! `{minutes}` always stands beside an abbreviation without a plural, so that no language needs plural rules.

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

use super::Language;
use crate::limits::whole_seconds;

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
    pub(super) home_page: String,
    /// Beside a link, if `form-action` has blocked the way to Postiz.
    pub(super) blocked: String,
    /// The operator's link if it has no name.
    pub(super) about_server: String,
    just_now: String,
    minutes_ago: String,
    expires_in: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Home {
    pub(super) title: String,
    pub(super) text: String,
    pub(super) run: String,
    pub(super) have_code: String,
    pub(super) api: String,
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
    pub(super) title_to_type: String,
    pub(super) access: String,
    pub(super) client_name: String,
    pub(super) organization: String,
    pub(super) other_network_to_type: String,
    pub(super) unknown_network_to_type: String,
    pub(super) other_network: String,
    pub(super) several_browsers: String,
    pub(super) inactive: String,
    pub(super) inactive_own_client: String,
    pub(super) postiz_shows_code: String,
    pub(super) ends_other_logins: String,
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
    pub(super) inactive: Words,
    pub(super) token_refused: Words,
    pub(super) replaced: Words,
    pub(super) denied: Words,
    pub(super) wrong_browser: Words,
    pub(super) stopped: Words,
    pub(super) link_expired: Words,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trouble {
    pub(super) unreachable: String,
    pub(super) slow: String,
    pub(super) failed: String,
    pub(super) client_refused: String,
    pub(super) code_refused: String,
    pub(super) unreadable: String,
    pub(super) still_open: String,
    pub(super) approve_again: String,
    pub(super) operator: String,
    pub(super) registration_operator: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Problem {
    pub(super) no_cookie: Words,
    pub(super) too_many_tries: Words,
    pub(super) busy: Words,
    pub(super) one_moment: Words,
    pub(super) cross_site: Words,
    pub(super) not_found: Words,
    pub(super) method_not_allowed: Words,
    pub(super) bad_request: Words,
    pub(super) internal: Words,
}

impl Common {
    /// `2 min ago`, rounded down.
    pub(super) fn ago(&self, age: Duration) -> String {
        match age.as_secs() / 60 {
            0 => self.just_now.clone(),
            minutes => self.minutes_ago.replace("{minutes}", &minutes.to_string()),
        }
    }

    /// `in 3 min`
    pub(super) fn within(&self, wait: Duration) -> String {
        put_minutes(&self.expires_in, wait)
    }
}

/// Replaces `{minutes}`, rounded up so that a person who waits that long does not come back too early.
pub(super) fn put_minutes(text: &str, wait: Duration) -> String {
    text.replace("{minutes}", &whole_seconds(wait).div_ceil(60).max(1).to_string())
}

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

/// Parsed at the first page. The tests parse every file, so `None` never occurs; it only avoids a panic.
static TEXTS: LazyLock<Vec<Option<Texts>>> =
    LazyLock::new(|| Language::ALL.iter().map(|language| serde_json::from_str(source(*language)).ok()).collect());

pub(super) fn texts(language: Language) -> Option<&'static Texts> {
    TEXTS.get(language as usize)?.as_ref()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    /// The texts by their dotted keys.
    fn flat(language: Language) -> BTreeMap<String, String> {
        fn walk(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
            match value {
                Value::Object(members) => {
                    members.iter().for_each(|(key, value)| walk(&format!("{path}.{key}"), value, into));
                }
                value => {
                    into.insert(path.to_owned(), value.as_str().unwrap().to_owned());
                }
            }
        }
        let mut texts = BTreeMap::new();
        walk(language.tag(), &serde_json::from_str(source(language)).unwrap(), &mut texts);
        texts.into_iter().map(|(path, text)| (path[3..].to_owned(), text)).collect()
    }

    fn each_text() -> impl Iterator<Item = (Language, String, String)> {
        Language::ALL
            .iter()
            .flat_map(|&language| flat(language).into_iter().map(move |(key, text)| (language, key, text)))
    }

    fn place(language: Language, key: &str) -> String {
        format!("locales/{}.json, {key}", language.tag())
    }

    /// `["{minutes}"]`
    fn placeholders(text: &str) -> Vec<&str> {
        let mut found: Vec<_> = text.split_inclusive('}').filter_map(|part| Some(&part[part.find('{')?..])).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn every_language_has_exactly_the_keys_of_the_structs() {
        for &language in Language::ALL {
            let read: Result<Texts, _> = serde_json::from_str(source(language));
            assert!(read.is_ok(), "locales/{}.json: {}", language.tag(), read.unwrap_err());
        }
    }

    #[test]
    fn each_language_reads_its_own_file() {
        for (index, language) in Language::ALL.iter().copied().enumerate() {
            assert_eq!(language as usize, index);
            let title = &flat(language)["home.title"];
            assert_eq!(&texts(language).unwrap().home.title, title);
        }
    }

    #[test]
    fn a_translation_keeps_placeholders_and_leads_to_the_same_commands() {
        let leads = |text: &str| text.ends_with([':', '：']);
        let english = flat(Language::English);
        for (language, key, text) in each_text() {
            let place = place(language, &key);
            let original = &english[&key];
            assert_eq!(placeholders(&text), placeholders(original), "{place}");
            assert_eq!(leads(&text), leads(original), "{place}: the colon before a command");
            assert!(!text.trim().is_empty() && text.trim() == text, "{place}");
            assert!(!text.contains(['<', '>', '&']), "{place}: texts hold no HTML");
        }
    }

    #[test]
    fn punctuation_follows_the_language() {
        for (language, key, text) in each_text() {
            assert_eq!(typography(language, &text), None, "{}: {text}", place(language, &key));
        }
    }

    /// The first mistake in a text, if it has one.
    fn typography(language: Language, text: &str) -> Option<&'static str> {
        /// Whether a character in `marks` follows something else than `space`.
        fn not_after(text: &str, marks: &[char], space: char) -> bool {
            text.match_indices(marks).any(|(at, _)| !text[..at].ends_with(space))
        }
        let spaced_ellipsis = text.contains(" …") || text.contains("\u{a0}…");
        match language {
            _ if text.contains("{minutes} ") => Some("no U+00A0 between number and unit"),
            _ if text.contains('\'') => Some("a straight apostrophe"),
            _ if text.contains('"') => Some("straight quotation marks"),
            _ if text.contains("...") => Some("three dots for an ellipsis"),
            Language::German if spaced_ellipsis => None,
            Language::German if text.contains('…') => Some("no space before the ellipsis"),
            _ if spaced_ellipsis => Some("a space before the ellipsis"),
            Language::French if not_after(text, &[':'], '\u{a0}') => Some("no U+00A0 before a colon"),
            Language::French if text.contains('«') && !(text.contains("«\u{a0}") && text.contains("\u{a0}»")) => {
                Some("no U+00A0 inside the quotation marks")
            }
            Language::French if not_after(text, &[';', '?', '!'], '\u{202f}') => Some("no U+202F before ; ? or !"),
            Language::Spanish if text.matches('?').count() != text.matches('¿').count() => Some("a ? without its ¿"),
            Language::Hebrew
                if text.match_indices('-').any(|(at, _)| text[..at].ends_with(|c| matches!(c, 'א'..='ת'))) =>
            {
                Some("no U+2011 after a prefix")
            }
            Language::Japanese | Language::Chinese if text.contains([',', '.', ':', ';', '?', '!', '(', ')']) => {
                Some("half-width punctuation")
            }
            _ => None,
        }
    }

    #[test]
    fn each_mistake_of_typography_is_found() {
        for (language, right, wrong) in [
            (Language::English, "{minutes}\u{a0}min", "{minutes} min"),
            (Language::English, "isn’t", "isn't"),
            (Language::German, "„{name}“", "\"{name}\""),
            (Language::Italian, "Un momento…", "Un momento..."),
            (Language::English, "One moment…", "One moment …"),
            (Language::German, "Einen Moment …", "Einen Moment…"),
            (Language::French, "terminal\u{a0}:", "terminal:"),
            (Language::French, "«\u{a0}{name}\u{a0}»", "« {name}\u{a0}»"),
            (Language::French, "code\u{202f}? perdu\u{202f};", "code\u{202f}? perdu ;"),
            (Language::Spanish, "¿Muestra?", "Muestra?"),
            (Language::Hebrew, "ל\u{2011}Postiz", "ל-Postiz"),
            (Language::Japanese, "再試行します。", "再試行します."),
            (Language::Chinese, "终端中运行：", "终端中运行:"),
        ] {
            assert_eq!(typography(language, right), None, "{right}");
            assert!(typography(language, wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn only_names_and_loanwords_stay_english() {
        let english = flat(Language::English);
        for language in Language::ALL.iter().copied().skip(1) {
            let same = flat(language).iter().filter(|(key, text)| english[*key] == **text).count();
            assert!(same <= 3, "locales/{}.json: {same} texts are English", language.tag());
        }
    }

    #[test]
    fn past_minutes_round_down_and_coming_ones_up() {
        let common = &texts(Language::English).unwrap().common;
        for (seconds, ago, within) in [
            (0, "just now", "in 1\u{a0}min"),
            (59, "just now", "in 1\u{a0}min"),
            (60, "1\u{a0}min ago", "in 1\u{a0}min"),
            (61, "1\u{a0}min ago", "in 2\u{a0}min"),
            (899, "14\u{a0}min ago", "in 15\u{a0}min"),
            (900, "15\u{a0}min ago", "in 15\u{a0}min"),
        ] {
            let duration = Duration::from_secs(seconds);
            assert_eq!((common.ago(duration).as_str(), common.within(duration).as_str()), (ago, within));
        }
    }
}
