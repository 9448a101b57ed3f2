//! From the environment to a [`Config`]: clean, fill in defaults, map with envy, parse, warn.

use std::collections::BTreeMap;
use std::ffi::OsString;

use strsim::levenshtein;

use super::problems::Problems;
use super::server_url;
use super::table::{Presence, Variable};
use super::variables::{self, ALL, Config, Raw};

/// The environment, as far as it is UTF-8.
pub(super) type Vars = BTreeMap<String, String>;

pub(super) fn load(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Config, Problems> {
    let (vars, not_unicode) = unicode(vars);
    let mut problems = Problems::default();
    for variable in ALL.iter().filter(|variable| not_unicode.iter().any(|name| name == variable.name)) {
        problems.not_unicode(variable);
    }
    let misspelt = misspelt(&vars);
    match variables::parse(map(&vars), &vars, &mut problems) {
        Some(mut config) if problems.is_empty() => {
            config.warnings = warnings(&config, &misspelt);
            Ok(config)
        }
        _ => {
            for (found, meant) in &misspelt {
                problems.explain_missing(meant, &format!("{found} is set: did you mean {meant}?"));
            }
            Err(problems)
        }
    }
}

/// Also returns the names of variables whose value is not UTF-8: they matter only if the server reads them.
pub(super) fn unicode(vars: impl IntoIterator<Item = (OsString, OsString)>) -> (Vars, Vec<String>) {
    let mut kept = Vars::new();
    let mut not_unicode = Vec::new();
    for (name, value) in vars.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value))) {
        match value.into_string() {
            Ok(value) => drop(kept.insert(name, value)),
            Err(_) => not_unicode.push(name),
        }
    }
    (kept, not_unicode)
}

/// Removes surrounding white space and quotes: `docker run --env-file` keeps the quotes of `NAME="value"`.
pub(super) fn bare(raw: &str) -> Result<&str, &'static str> {
    let value = raw.trim();
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            value[1..].strip_suffix(quote).map(str::trim).ok_or("begins with a quotation mark that is never closed")
        }
        _ => Ok(value),
    }
}

/// The value without quotes, if there is one: an empty variable counts as missing.
pub(super) fn value<'a>(vars: &'a Vars, name: &str) -> Option<&'a str> {
    bare(vars.get(name)?).ok().filter(|value| !value.is_empty())
}

/// The port that the server listens on; the default if it can't be read.
pub(super) fn port(vars: &Vars) -> u16 {
    let texts = [value(vars, variables::PORT.name), variables::PORT.default()];
    texts.into_iter().flatten().find_map(|port| port.parse().ok()).unwrap_or_default()
}

/// Keyed by field, not by variable: envy lowers all names, and `port` beside `PORT` would be a duplicate.
fn map(vars: &Vars) -> Raw {
    let text = |variable: &Variable| {
        let set = vars.get(variable.name).filter(|raw| bare(raw) != Ok("")).cloned();
        set.or_else(|| match variable.presence {
            Presence::Default(text) => Some(text.to_owned()),
            Presence::Derived(derive) => Some(derive(vars)),
            Presence::Required | Presence::Optional => None,
        })
    };
    let texts = ALL.iter().filter_map(|variable| Some((variable.field.to_owned(), text(variable)?)));
    // Cannot fail: every field is text. If it did, the required variables would be missing.
    envy::from_iter(texts).unwrap_or_default()
}

fn warnings(config: &Config, misspelt: &[(&str, &str)]) -> Vec<String> {
    let mut warnings = config.database.warnings.clone();
    warnings.extend(server_url::warnings(config));
    warnings.extend(misspelt.iter().map(|(found, meant)| format!("{found} is ignored: its name looks like {meant}")));
    warnings.extend_from_slice(&config.log_filter.warnings);
    if config.otlp_endpoint.is_some() && !cfg!(feature = "otlp") {
        warnings.push("OTEL_EXPORTER_OTLP_ENDPOINT is ignored: this build has no traces (feature otlp)".to_owned());
    }
    warnings
}

/// Pairs of a variable that the server doesn't read and the unset one that it looks like.
fn misspelt(vars: &Vars) -> Vec<(&str, &'static str)> {
    let unset = ALL.iter().map(|variable| variable.name).filter(|&name| !vars.contains_key(name));
    unset.filter_map(|meant| Some((vars.keys().find(|found| is_misspelt(found, meant))?.as_str(), meant))).collect()
}

/// Whether `found` is `meant` in other capitals, or with one or two wrong characters.
fn is_misspelt(found: &str, meant: &str) -> bool {
    /// Shorter names are too easily alike (`PORT`, `HOST`).
    const COMPARABLE: usize = 8;
    let capitals = found.to_uppercase();
    found != meant && (capitals == meant || meant.len() >= COMPARABLE && levenshtein(&capitals, meant) <= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_quotes_around_a_value_are_removed() {
        for raw in ["3111", " 3111\n", "\"3111\"", "'3111'", " \" 3111 \" "] {
            assert_eq!(bare(raw), Ok("3111"), "{raw:?}");
        }
        for raw in ["", "  ", "\t\n", "\"\"", "' '"] {
            assert_eq!(bare(raw), Ok(""), "{raw:?}");
        }
        for raw in ["\"", "'", "\"3111", "'3111\""] {
            assert!(bare(raw).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn misspelt_names_are_recognised_and_others_left_alone() {
        for (found, meant) in [
            ("DATABSE_URL", "DATABASE_URL"),
            ("DATABASE_ULR", "DATABASE_URL"),
            ("Database_Url", "DATABASE_URL"),
            ("port", "PORT"),
            ("POSTIZ_OAUTH_CLIENTID", "POSTIZ_OAUTH_CLIENT_ID"),
        ] {
            assert!(is_misspelt(found, meant), "{found}");
        }
        for (found, meant) in [
            ("DATABASE_URL", "DATABASE_URL"),
            ("HOST", "PORT"),
            ("POSTIZ_API_KEY", "POSTIZ_API_URL"),
            ("POSTIZ_AUTH_SERVER", "POSTIZ_API_URL"),
            ("DIRECT_DATABASE_URL", "DATABASE_URL"),
        ] {
            assert!(!is_misspelt(found, meant), "{found}");
        }
    }
}
