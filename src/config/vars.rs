//! The environment as text.

use std::collections::BTreeMap;
use std::ffi::OsString;

pub(super) const DEFAULT_PORT: &str = "3111";

/// The environment, as far as it is UTF-8.
pub(super) type Vars = BTreeMap<String, String>;

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
    let texts = [value(vars, "PORT"), Some(DEFAULT_PORT)];
    texts.into_iter().flatten().find_map(|port| port.parse().ok()).unwrap_or_default()
}
