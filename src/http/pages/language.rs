//! Chooses the language of a page by the header `Accept-Language` (RFC 9110 §12.5.4).

use strum::{EnumString, IntoStaticStr, VariantArray};

/// The first languages of Postiz's own interface, in its order. The words are the primary subtags, and the names of the files in
/// `locales/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(ascii_case_insensitive)]
pub enum Language {
    #[strum(serialize = "en")]
    English,
    #[strum(serialize = "he")]
    Hebrew,
    #[strum(serialize = "ru")]
    Russian,
    #[strum(serialize = "zh")]
    Chinese,
    #[strum(serialize = "fr")]
    French,
    #[strum(serialize = "es")]
    Spanish,
    #[strum(serialize = "pt")]
    Portuguese,
    #[strum(serialize = "de")]
    German,
    #[strum(serialize = "it")]
    Italian,
    #[strum(serialize = "ja")]
    Japanese,
}

impl Language {
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The supported language that the header prefers; English if it names none.
    pub fn from_accept_language(header: Option<&str>) -> Self {
        let mut best = (Self::English, 0.0);
        for range in header.unwrap_or_default().split(',') {
            let (tag, weight) = tag_and_weight(range);
            // The first of equal weights wins. A weight of 0 means "not acceptable".
            if weight > best.1
                && let Some(language) = Self::from_tag(tag)
            {
                best = (language, weight);
            }
        }
        best.0
    }

    /// Compares the primary subtag only: `pt-PT` gets the Brazilian file.
    fn from_tag(tag: &str) -> Option<Self> {
        match tag.split(['-', '_']).next().unwrap_or_default() {
            // Java and old Android send `iw` for Hebrew.
            "iw" => Some(Self::Hebrew),
            // Any language.
            "*" => Some(Self::English),
            primary => primary.parse().ok(),
        }
    }

    pub fn tag(self) -> &'static str {
        self.into()
    }

    /// The tag for the attribute `lang` and the header `Content-Language`. Region and script let a browser choose the right voice
    /// and the right Han glyphs.
    pub fn lang(self) -> &'static str {
        match self {
            Self::Chinese => "zh-Hans",
            Self::Portuguese => "pt-BR",
            _ => self.tag(),
        }
    }

    /// The attribute `dir`.
    pub fn direction(self) -> &'static str {
        match self {
            Self::Hebrew => "rtl",
            _ => "ltr",
        }
    }
}

/// `de-AT;q=0.8` is `("de-AT", 0.8)`. An invalid weight counts as 0.
fn tag_and_weight(range: &str) -> (&str, f32) {
    let (tag, parameters) = range.split_once(';').unwrap_or((range, "q=1"));
    let weight = parameters
        .trim()
        .strip_prefix(['q', 'Q'])
        .and_then(|rest| rest.trim_start().strip_prefix('='))
        .and_then(|weight| weight.trim().parse().ok())
        .filter(|weight| (0.0..=1.0).contains(weight));
    (tag.trim(), weight.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::{Language::*, *};

    #[test]
    fn the_header_chooses_by_weight_then_order() {
        for (header, expected) in [
            ("de", German),
            ("de-AT", German),
            ("DE-at", German),
            ("pt-BR,pt;q=0.9,en;q=0.8", Portuguese),
            ("en;q=0.5, fr;q=0.9", French),
            ("fr;q=0.8, it;q=0.8", French),
            ("nl, ja;q=0.4, en;q=0.3", Japanese),
            ("zh-Hant-TW", Chinese),
            ("iw-IL", Hebrew),
            ("he ; q = 0.7 , en;Q=0.6", Hebrew),
            ("es;q=1.000, de", Spanish),
            ("ru;q=0.001", Russian),
            ("*;q=0.5, it;q=0.4", English),
        ] {
            assert_eq!(Language::from_accept_language(Some(header)), expected, "{header}");
        }
    }

    #[test]
    fn an_unusable_header_means_english() {
        for header in [
            "",
            "*",
            "nl",
            "tlh, sv;q=0.9",
            "de;q=0",
            "de;q=2",
            "de;q=NaN",
            "de;q=",
            "de;level=1",
            ";q=1",
            ",,,",
            "\u{feff}de",
            "🇩🇪",
        ] {
            assert_eq!(Language::from_accept_language(Some(header)), English, "{header}");
        }
        assert_eq!(Language::from_accept_language(None), English);
    }

    #[test]
    fn every_language_is_chosen_by_its_own_tags() {
        for &language in Language::ALL {
            assert_eq!(Language::from_accept_language(Some(language.tag())), language);
            assert_eq!(Language::from_accept_language(Some(language.lang())), language);
        }
    }
}
