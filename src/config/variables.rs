//! The variables, and the text of each: from the environment, or from the file that is named for a secret. Quotes, byte order
//! marks and white space around a value are removed, and an empty value counts as missing.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;

/// An environment variable that the server reads. `.env.example` shows each: a test compares the two.
#[derive(Debug)]
pub struct Variable {
    pub name: &'static str,
    /// Its value is never shown. It may also come from the file that [`Self::file_variable`] names.
    pub secret: bool,
    /// The value if the variable is not set; `None` if there is none, or if it follows from something else.
    pub default: Option<&'static str>,
}

impl Variable {
    /// `NAME_FILE`, for a secret of Docker, Kubernetes or systemd.
    pub fn file_variable(&self) -> Option<String> {
        self.secret.then(|| format!("{}_FILE", self.name))
    }
}

pub(super) const DEFAULT_API: &str = "https://api.postiz.com";

pub(super) const ALL: &[Variable] = &[
    Variable { name: "DATABASE_URL", secret: true, default: None },
    Variable { name: "POSTIZ_OAUTH_CLIENT_ID", secret: true, default: None },
    Variable { name: "POSTIZ_OAUTH_CLIENT_SECRET", secret: true, default: None },
    Variable { name: "PORT", secret: false, default: Some("3111") },
    Variable { name: "METRICS_ADDRESS", secret: false, default: None },
    Variable { name: "SERVER_URL", secret: false, default: None },
    Variable { name: "POSTIZ_API_URL", secret: false, default: Some(DEFAULT_API) },
    Variable { name: "POSTIZ_PUBLIC_API_URL", secret: false, default: None },
    Variable { name: "POSTIZ_FRONTEND_URL", secret: false, default: None },
    Variable { name: "OPERATOR_NAME", secret: false, default: None },
    Variable { name: "OPERATOR_URL", secret: false, default: None },
    Variable { name: "LONG_POLL_SECONDS", secret: false, default: Some("25") },
    Variable { name: "MAX_HELD_POLLS", secret: false, default: Some("6000") },
    Variable { name: "DEVICE_CODE_TTL", secret: false, default: Some("900") },
    Variable { name: "DATABASE_POOL_SIZE", secret: false, default: Some("8") },
    Variable { name: "DRAIN_SECONDS", secret: false, default: Some("0") },
    Variable { name: "LOG_FORMAT", secret: false, default: None },
    Variable { name: "RUST_LOG", secret: false, default: Some("info") },
    Variable { name: "CLIENT_IP_SOURCE", secret: false, default: Some("Auto") },
    Variable { name: "TRUSTED_PROXIES", secret: false, default: None },
    Variable { name: "RATE_LIMIT_GUESSES", secret: false, default: Some("10") },
    Variable { name: "RATE_LIMIT_CODES", secret: false, default: Some("60") },
];

/// All variables of the process, by name in lower case, as envy maps them.
pub(super) struct Environment(HashMap<String, String>);

impl Environment {
    pub(super) fn new(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text = |raw: OsString| raw.to_string_lossy().into_owned();
        // `port` is not `PORT`, whose names would be equal from here on.
        let is_ours = |name: &OsString| !name.to_string_lossy().contains(char::is_lowercase);
        let texts = vars.into_iter().filter(|(name, _)| is_ours(name)).map(|(name, value)| (text(name), text(value)));
        // Can't fail: every value is text.
        Self(envy::from_iter(texts).unwrap_or_default())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_ascii_lowercase()).map(|raw| bare(raw)).filter(|text| !text.is_empty())
    }

    /// The variable, or the content of its file. The error completes the sentence "NAME ..." and quotes neither the file's
    /// content nor its path, which may be the secret itself.
    pub(super) fn text(&self, variable: &Variable) -> Result<Option<String>, String> {
        let own = self.get(variable.name);
        let file = variable.file_variable().and_then(|named_by| Some((self.get(&named_by)?, named_by)));
        let Some((path, named_by)) = file else { return Ok(own.map(str::to_owned)) };
        let content =
            fs::read_to_string(path).map_err(|error| format!("can't be read from the file in {named_by}: {error}"))?;
        match (own, bare(&content)) {
            (own, "") => Ok(own.map(str::to_owned)),
            (None, content) => Ok(Some(content.to_owned())),
            (Some(_), _) => Err(format!("is set twice, and by {named_by}: remove one of the two")),
        }
    }
}

/// `docker run --env-file` keeps the quotes of `NAME="value"`, and some editors write a byte order mark.
fn bare(raw: &str) -> &str {
    let value = raw.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let unquoted = ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
    unquoted.unwrap_or(value).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &Variable = &Variable { name: "SECRET", secret: true, default: None };

    fn environment(vars: &[(&str, &str)]) -> Environment {
        Environment::new(vars.iter().map(|&(name, value)| (name.into(), value.into())))
    }

    /// The secret, with a file that holds this.
    fn from_file(content: &[u8], own: &str) -> Result<Option<String>, String> {
        let path = std::env::temp_dir().join(format!("secret-{:016x}", rand::random::<u64>()));
        fs::write(&path, content).unwrap();
        let found = environment(&[("SECRET_FILE", path.to_str().unwrap()), ("SECRET", own)]).text(SECRET);
        fs::remove_file(path).unwrap();
        found
    }

    #[test]
    fn quotes_white_space_and_a_byte_order_mark_around_a_value_are_removed() {
        for raw in ["3111", " 3111\n", "\"3111\"", "'3111'", " \" 3111 \" ", "\u{feff}3111", " \u{feff}\"3111\"\r\n"] {
            assert_eq!(bare(raw), "3111", "{raw:?}");
        }
        for raw in ["", "  ", "\t\n", "\"\"", "' '", "\u{feff}"] {
            assert_eq!(environment(&[("PORT", raw)]).get("PORT"), None, "{raw:?}");
        }
    }

    #[test]
    fn names_are_read_in_capitals_only() {
        assert_eq!(environment(&[("port", "1")]).get("PORT"), None);
        assert_eq!(environment(&[("port", "1"), ("PORT", "2"), ("Port", "3")]).get("PORT"), Some("2"));
    }

    #[test]
    fn a_secret_may_come_from_a_file_and_an_empty_file_counts_as_missing() {
        let found = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(from_file(b"hunter2\n", ""), found("hunter2"));
        assert_eq!(from_file("\u{feff}hunter2\r\n".as_bytes(), " "), found("hunter2"));
        assert_eq!(from_file(b"\n", ""), Ok(None));
        assert_eq!(from_file(b"", "hunter2"), found("hunter2"));
        assert_eq!(environment(&[("SECRET_FILE", " "), ("SECRET", "hunter2")]).text(SECRET), found("hunter2"));
        let other = Variable { secret: false, ..*SECRET };
        assert_eq!(environment(&[("SECRET_FILE", "/nothing")]).text(&other), Ok(None));
    }

    #[test]
    fn a_problem_names_the_variable_and_shows_no_secret() {
        let pasted = environment(&[("SECRET_FILE", "hunter2")]).text(SECRET);
        for (found, words) in [
            (from_file(b"hunter2", "hunter3"), "SECRET_FILE: remove one"),
            (from_file(b"hunter2\xff", ""), "UTF-8"),
            (pasted, "in SECRET_FILE: No such file"),
        ] {
            let why = found.unwrap_err();
            assert!(why.contains(words) && !why.contains("hunter"), "{why}");
        }
    }
}
