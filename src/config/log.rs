//! `LOG_FORMAT` and `RUST_LOG`. A mistake in the latter costs log lines, not the start.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{Directive, LevelFilter};

use super::problems::shown;

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString)]
#[strum(ascii_case_insensitive)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// One line of text, for people.
    Text,
}

impl LogFormat {
    pub(super) fn by_default() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// The directives that can be used, separated by commas; empty if there are none.
    pub directives: String,
    pub(super) warnings: Vec<String>,
}

impl LogFilter {
    /// Never fails.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        let mut usable = Vec::new();
        for directive in text.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            let shown = shown(directive).map_or("a part of it".to_owned(), |shown| format!("{shown:?}"));
            if directive.parse::<Directive>().is_err() {
                filter.warnings.push(format!("RUST_LOG: {shown} is not a log directive and is ignored"));
                continue;
            }
            if is_word(directive) && directive.parse::<LevelFilter>().is_err() {
                filter.warnings.push(format!(
                    "RUST_LOG: {shown} is not a level; it is read as a module of that name, with all its lines"
                ));
            }
            usable.push(directive);
        }
        filter.directives = usable.join(",");
        Ok(filter)
    }
}

fn is_word(directive: &str) -> bool {
    directive.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_warned_of_and_the_rest_is_used() {
        for (text, usable, warned) in [
            ("info", "info", &[][..]),
            ("INFO, hyper=warn,", "INFO,hyper=warn", &[]),
            ("warn,a::http=debug,[request]=trace", "warn,a::http=debug,[request]=trace", &[]),
            ("verbose,,=", "verbose", &["\"verbose\" is not a level", "\"=\" is not a log directive"]),
            ("hyper=loud,info", "info", &["hyper=loud"]),
            ("info hyper", "info hyper", &["\"info hyper\" is not a level"]),
            ("a=b@c,info", "info", &["a part of it is not a log directive"]),
        ] {
            let filter = LogFilter::parse(text).unwrap();
            assert_eq!(filter.directives, usable, "{text}");
            assert_eq!(filter.warnings.len(), warned.len(), "{text}: {:?}", filter.warnings);
            for (warning, words) in filter.warnings.iter().zip(warned) {
                assert!(warning.contains(words), "{text}: {warning}");
            }
        }
    }
}
