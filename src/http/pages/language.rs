//! The languages of the pages, and their sentences.
//!
//! `{minutes}` always stands beside an abbreviation without a plural, so that no language needs plural rules.

use std::sync::LazyLock;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{AcceptLanguage, Header as _};
use serde_json::Value;

use crate::limits::whole_seconds;

#[derive(Debug)]
pub struct Language {
    /// The primary subtag, and the name of the file in `locales/`.
    pub tag: &'static str,
    /// For the attribute `lang` and the header `Content-Language`. Region and script let a browser choose the right voice and the
    /// right Han glyphs.
    pub lang: &'static str,
    texts: LazyLock<Value>,
}

/// The first languages of Postiz's own interface, in its order.
pub static LANGUAGES: [Language; 10] = [
    Language { tag: "en", lang: "en", texts: LazyLock::new(|| read(include_str!("../../../locales/en.json"))) },
    Language { tag: "he", lang: "he", texts: LazyLock::new(|| read(include_str!("../../../locales/he.json"))) },
    Language { tag: "ru", lang: "ru", texts: LazyLock::new(|| read(include_str!("../../../locales/ru.json"))) },
    Language { tag: "zh", lang: "zh-Hans", texts: LazyLock::new(|| read(include_str!("../../../locales/zh.json"))) },
    Language { tag: "fr", lang: "fr", texts: LazyLock::new(|| read(include_str!("../../../locales/fr.json"))) },
    Language { tag: "es", lang: "es", texts: LazyLock::new(|| read(include_str!("../../../locales/es.json"))) },
    Language { tag: "pt", lang: "pt-BR", texts: LazyLock::new(|| read(include_str!("../../../locales/pt.json"))) },
    Language { tag: "de", lang: "de", texts: LazyLock::new(|| read(include_str!("../../../locales/de.json"))) },
    Language { tag: "it", lang: "it", texts: LazyLock::new(|| read(include_str!("../../../locales/it.json"))) },
    Language { tag: "ja", lang: "ja", texts: LazyLock::new(|| read(include_str!("../../../locales/ja.json"))) },
];

/// The tests read every file.
fn read(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

impl Language {
    /// The language that the browser prefers (RFC 9110 §12.5.4); English if it names none of these. Only the primary subtag counts:
    /// `pt-PT` gets the Brazilian file.
    pub fn of(request: &HttpRequest) -> &'static Self {
        let accepted = AcceptLanguage::parse(request).map(|accepted| accepted.ranked()).unwrap_or_default();
        let named = |tag: &str| LANGUAGES.iter().find(|language| language.tag.eq_ignore_ascii_case(tag));
        let found = accepted
            .iter()
            .find_map(|range| range.item().map_or(Some(&LANGUAGES[0]), |tag| named(tag.primary_language())));
        found.unwrap_or(&LANGUAGES[0])
    }

    /// The attribute `dir`.
    pub fn direction(&self) -> &'static str {
        if self.tag == "he" { "rtl" } else { "ltr" }
    }

    /// The sentence at this place in the file, such as `confirm.deny`. A test renders every page in every language.
    pub(super) fn text(&self, key: &str) -> &str {
        let text = key.split('.').fold(&*self.texts, |texts, name| &texts[name]).as_str();
        debug_assert!(text.is_some(), "locales/{}.json has no {key}", self.tag);
        text.unwrap_or_default()
    }

    /// A sentence with `{minutes}`, rounded up so that a person who waits that long does not come back too early.
    pub(super) fn wait(&self, key: &str, wait: Duration) -> String {
        self.text(key).replace("{minutes}", &whole_seconds(wait).div_ceil(60).max(1).to_string())
    }

    /// `2 min ago`, rounded down.
    pub(super) fn ago(&self, age: Duration) -> String {
        match age.as_secs() / 60 {
            0 => self.text("common.just_now").to_owned(),
            minutes => self.text("common.minutes_ago").replace("{minutes}", &minutes.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use actix_web::http::header::ACCEPT_LANGUAGE;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_header_chooses_by_weight_then_order() {
        for (header, expected) in [
            ("de", "de"),
            ("DE-at", "de"),
            ("pt-BR,pt;q=0.9,en;q=0.8", "pt"),
            ("en;q=0.5, fr;q=0.9", "fr"),
            ("fr;q=0.8, it;q=0.8", "fr"),
            ("nl, ja;q=0.4, en;q=0.3", "ja"),
            ("zh-Hant-TW", "zh"),
            ("*;q=0.5, it;q=0.4", "en"),
            ("", "en"),
            ("tlh, sv;q=0.9", "en"),
            (";q=1, de;q=NaN,,", "en"),
            ("🇩🇪", "en"),
        ] {
            let request = TestRequest::default().insert_header((ACCEPT_LANGUAGE, header.as_bytes())).to_http_request();
            assert_eq!(Language::of(&request).tag, expected, "{header}");
        }
        assert_eq!(Language::of(&TestRequest::default().to_http_request()).tag, "en");
    }

    /// The texts by their dotted keys.
    fn flat(language: &Language) -> BTreeMap<String, String> {
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
        walk(language.tag, &language.texts, &mut texts);
        texts.into_iter().map(|(path, text)| (path[3..].to_owned(), text)).collect()
    }

    fn each_text() -> impl Iterator<Item = (&'static str, String, String)> {
        let texts =
            |language: &'static Language| flat(language).into_iter().map(|(key, text)| (language.tag, key, text));
        LANGUAGES.iter().flat_map(texts)
    }

    fn place(language: &str, key: &str) -> String {
        format!("locales/{language}.json, {key}")
    }

    /// `["{minutes}"]`
    fn placeholders(text: &str) -> Vec<&str> {
        let mut found: Vec<_> = text.split_inclusive('}').filter_map(|part| Some(&part[part.find('{')?..])).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn every_language_has_the_same_keys() {
        let keys = |language| flat(language).into_keys().collect::<Vec<_>>();
        for language in &LANGUAGES {
            assert_eq!(keys(language), keys(&LANGUAGES[0]), "locales/{}.json", language.tag);
        }
    }

    #[test]
    fn a_translation_keeps_placeholders_and_leads_to_the_same_commands() {
        let leads = |text: &str| text.ends_with([':', '：']);
        let english = flat(&LANGUAGES[0]);
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
    fn typography(language: &str, text: &str) -> Option<&'static str> {
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
            "de" if spaced_ellipsis => None,
            "de" if text.contains('…') => Some("no space before the ellipsis"),
            _ if spaced_ellipsis => Some("a space before the ellipsis"),
            "fr" if not_after(text, &[':'], '\u{a0}') => Some("no U+00A0 before a colon"),
            "fr" if text.contains('«') && !(text.contains("«\u{a0}") && text.contains("\u{a0}»")) => {
                Some("no U+00A0 inside the quotation marks")
            }
            "fr" if not_after(text, &[';', '?', '!'], '\u{202f}') => Some("no U+202F before ; ? or !"),
            "es" if text.matches('?').count() != text.matches('¿').count() => Some("a ? without its ¿"),
            "he" if text.match_indices('-').any(|(at, _)| text[..at].ends_with(|c| matches!(c, 'א'..='ת'))) => {
                Some("no U+2011 after a prefix")
            }
            "ja" | "zh" if text.contains([',', '.', ':', ';', '?', '!', '(', ')']) => Some("half-width punctuation"),
            _ => None,
        }
    }

    #[test]
    fn each_mistake_of_typography_is_found() {
        for (language, right, wrong) in [
            ("en", "{minutes}\u{a0}min", "{minutes} min"),
            ("en", "isn’t", "isn't"),
            ("de", "„{name}“", "\"{name}\""),
            ("it", "Un momento…", "Un momento..."),
            ("en", "One moment…", "One moment …"),
            ("de", "Einen Moment …", "Einen Moment…"),
            ("fr", "terminal\u{a0}:", "terminal:"),
            ("fr", "«\u{a0}{name}\u{a0}»", "« {name}\u{a0}»"),
            ("fr", "code\u{202f}? perdu\u{202f};", "code\u{202f}? perdu ;"),
            ("es", "¿Muestra?", "Muestra?"),
            ("he", "ל\u{2011}Postiz", "ל-Postiz"),
            ("ja", "再試行します。", "再試行します."),
            ("zh", "终端中运行：", "终端中运行:"),
        ] {
            assert_eq!(typography(language, right), None, "{right}");
            assert!(typography(language, wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn only_names_and_loanwords_stay_english() {
        let english = flat(&LANGUAGES[0]);
        for language in &LANGUAGES[1..] {
            let same = flat(language).iter().filter(|(key, text)| english[*key] == **text).count();
            assert!(same <= 3, "locales/{}.json: {same} texts are English", language.tag);
        }
    }

    #[test]
    fn past_minutes_round_down_and_coming_ones_up() {
        let english = &LANGUAGES[0];
        for (seconds, ago, within) in [
            (0, "just now", "in 1\u{a0}min"),
            (59, "just now", "in 1\u{a0}min"),
            (60, "1\u{a0}min ago", "in 1\u{a0}min"),
            (61, "1\u{a0}min ago", "in 2\u{a0}min"),
            (899, "14\u{a0}min ago", "in 15\u{a0}min"),
            (900, "15\u{a0}min ago", "in 15\u{a0}min"),
        ] {
            let duration = Duration::from_secs(seconds);
            assert_eq!((&*english.ago(duration), &*english.wait("common.expires_in", duration)), (ago, within));
        }
    }
}
