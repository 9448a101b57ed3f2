//! From the environment to a [`Config`]: clean, fill in defaults, map with envy, parse, warn.

use std::ffi::OsString;

use strsim::levenshtein;

use super::files;
use super::postiz_app::require_both_or_neither;
use super::problems::Problems;
use super::server_url::ServerUrlSource;
use super::variable::{Presence, Variable};
use super::variables::{self, ALL, Config, POSTIZ_API_URL, Raw};
use super::vars::{Vars, bare, unicode};

/// The front end of the default API.
const POSTIZ_FRONTEND: &str = "https://platform.postiz.com";

pub(super) fn load(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Config, Problems> {
    let (mut vars, not_unicode) = unicode(vars);
    let mut problems = Problems::default();
    let is_broken = |name: &str| not_unicode.iter().any(|broken| broken == name);
    for variable in ALL {
        if is_broken(variable.name) || variable.file_variable().is_some_and(|name| is_broken(&name)) {
            problems.not_unicode(variable);
        }
    }
    files::read(&mut vars, &mut problems);
    let misspelt = misspelt(&vars);
    let config = variables::parse(map(&vars), &vars, &mut problems);
    require_both_or_neither(&vars, &mut problems);
    match config {
        Some(mut config) if problems.is_empty() => {
            if POSTIZ_API_URL.default() == Some(config.api_url.as_str()) {
                config.frontend_url = config.frontend_url.or_else(|| POSTIZ_FRONTEND.parse().ok());
            }
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
    warnings.extend(server_url_warnings(config));
    if config.client_id.as_ref().is_some_and(|id| !["pca_", "pcd_"].iter().any(|prefix| id.starts_with(prefix))) {
        warnings.push(
            "POSTIZ_OAUTH_CLIENT_ID does not begin with pca_ or pcd_, as Postiz's client IDs do: Postiz has a variable of \
             the same name for its own sign-in"
                .to_owned(),
        );
    }
    warnings.extend(misspelt.iter().map(|(found, meant)| format!("{found} is ignored: its name looks like {meant}")));
    warnings.extend_from_slice(&config.log_filter.warnings);
    if config.otlp_endpoint.is_some() && !cfg!(feature = "otlp") {
        warnings.push("OTEL_EXPORTER_OTLP_ENDPOINT is ignored: this build has no traces (feature otlp)".to_owned());
    }
    warnings
}

fn server_url_warnings(config: &Config) -> Vec<String> {
    let url = &config.server_url;
    let mut warnings = Vec::new();
    if let (ServerUrlSource::Default, Some(platform)) = (config.server_url_source, config.platform) {
        warnings.push(format!("SERVER_URL is {url} although this runs on {platform}: {}", platform.advice()));
    }
    if !url.is_https() && !url.is_loopback() {
        warnings.push(format!("SERVER_URL is {url}: without https, anyone on the network path can take over a login"));
    }
    if let Some(word) = config.misleading_word() {
        warnings.push(format!(
            "SERVER_URL contains \"{word}\": people who are signed out get lost on Postiz's sign-in page"
        ));
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
