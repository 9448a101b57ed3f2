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
    pub(super) again: String,
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
    pub(super) other_network_typed: String,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    /// Each text by the path of its keys.
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

    /// `["{minutes}"]`
    fn placeholders(text: &str) -> Vec<&str> {
        let mut found: Vec<_> = text.split_inclusive('}').filter_map(|part| Some(&part[part.find('{')?..])).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn no_language_lacks_a_key_or_has_one_too_many() {
        for language in Language::ALL {
            let read: Result<Texts, _> = serde_json::from_str(source(language));
            assert!(read.is_ok(), "locales/{}.json: {}", language.tag(), read.unwrap_err());
        }
    }

    #[test]
    fn each_language_reads_its_own_file() {
        for (index, language) in Language::ALL.into_iter().enumerate() {
            assert_eq!(language as usize, index);
            let title = &flat(language)["home.title"];
            assert_eq!(&texts(language).unwrap().home.title, title);
        }
    }

    #[test]
    fn a_translation_keeps_placeholders_and_leads_to_the_same_commands() {
        let leads = |text: &str| text.ends_with([':', '：']);
        let english = flat(Language::English);
        for language in Language::ALL {
            for (key, text) in flat(language) {
                let original = &english[&key];
                let place = format!("locales/{}.json, {key}", language.tag());
                assert_eq!(placeholders(&text), placeholders(original), "{place}");
                assert_eq!(leads(&text), leads(original), "{place}: the colon before a command");
                assert!(!text.trim().is_empty() && text.trim() == text, "{place}");
                assert!(!text.contains(['<', '>', '&']), "{place}: texts hold no HTML");
            }
        }
    }

    #[test]
    fn only_names_and_loanwords_stay_english() {
        let english = flat(Language::English);
        for language in Language::ALL.into_iter().skip(1) {
            let same = flat(language).iter().filter(|(key, text)| english[*key] == **text).count();
            assert!(same <= 3, "locales/{}.json: {same} texts are English", language.tag());
        }
    }

    #[test]
    fn time_is_rounded_so_that_nobody_comes_too_early() {
        let common = &texts(Language::English).unwrap().common;
        for (seconds, ago, within) in [
            (0, "just now", "in 1 min"),
            (59, "just now", "in 1 min"),
            (60, "1 min ago", "in 1 min"),
            (61, "1 min ago", "in 2 min"),
            (899, "14 min ago", "in 15 min"),
            (900, "15 min ago", "in 15 min"),
        ] {
            assert_eq!((common.ago(seconds).as_str(), common.within(seconds).as_str()), (ago, within));
        }
    }
}
