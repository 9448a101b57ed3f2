//! The environment as text: quotes, byte order marks and white space around a value are removed, an empty value counts as
//! missing, and secrets are read from the files that are named for them. No problem holds the content of a file.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;

use super::problems::Problems;
use super::variables::{ALL, DEFAULT_PORT, Variable};

/// Variables that have a value, by name in lower case, as envy maps them.
pub(super) struct Environment(HashMap<String, String>);

impl Environment {
    /// What is wrong with a variable matters only if the server reads it.
    pub(super) fn read(vars: impl IntoIterator<Item = (OsString, OsString)>, problems: &mut Problems) -> Self {
        let mut texts = HashMap::new();
        for (name, value) in vars {
            let Ok(name) = name.into_string() else { continue };
            let text = value.into_string().map_err(|_| "is not valid UTF-8").and_then(|raw| bare(&raw));
            let is_named =
                |variable: &&Variable| variable.name == name || variable.file_variable().as_ref() == Some(&name);
            match (text, ALL.iter().find(is_named)) {
                (Ok(text), _) if !text.is_empty() => drop(texts.insert(name, text)),
                (Err(why), Some(variable)) => problems.note(variable, why, None),
                (Ok(_), _) | (Err(_), None) => {}
            }
        }
        for variable in ALL {
            match from_file(variable, &texts) {
                Ok(Some(text)) => drop(texts.insert(variable.name.to_owned(), text)),
                Ok(None) => {}
                Err(why) => problems.note(variable, why, None),
            }
        }
        // Names are compared in any case from here on, and `port` is not `PORT`.
        let capitals = texts.into_iter().filter(|(name, _)| !name.contains(char::is_lowercase));
        // Cannot fail: every value is text.
        Self(envy::from_iter(capitals).unwrap_or_default())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// The port that the server listens on; the default if it can't be read.
    pub(super) fn port(&self) -> u16 {
        let texts = [self.get("PORT"), Some(DEFAULT_PORT)];
        texts.into_iter().flatten().find_map(|port| port.parse().ok()).unwrap_or_default()
    }
}

/// `docker run --env-file` keeps the quotes of `NAME="value"`, and some editors write a byte order mark.
fn bare(raw: &str) -> Result<String, &'static str> {
    let value = raw.trim().trim_start_matches('\u{feff}').trim();
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inside = value[1..].strip_suffix(quote).ok_or("begins with a quotation mark that is never closed")?;
            Ok(inside.trim().to_owned())
        }
        _ => Ok(value.to_owned()),
    }
}

/// The secret in the file that is named for it. The error completes the sentence "NAME ...".
fn from_file(variable: &Variable, texts: &HashMap<String, String>) -> Result<Option<String>, String> {
    let Some(named_by) = variable.file_variable() else { return Ok(None) };
    let Some(path) = texts.get(&named_by) else { return Ok(None) };
    // Text that is no path may be the secret itself.
    if !path.starts_with('/') {
        return Err(format!("can't be read: {named_by} is not the absolute path of a file"));
    }
    let text = fs::read_to_string(path).map_err(|error| format!("can't be read from {path} ({named_by}): {error}"))?;
    let text = bare(&text)?;
    if text.is_empty() {
        return Ok(None);
    }
    if texts.contains_key(variable.name) {
        return Err(format!("is set twice, and by {named_by}: remove one of the two"));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use std::env::temp_dir;
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    const NAME: &str = "POSTIZ_OAUTH_CLIENT_SECRET";
    const NAME_FILE: &str = "POSTIZ_OAUTH_CLIENT_SECRET_FILE";

    fn read(vars: &[(&str, &str)]) -> (Environment, Problems) {
        let mut problems = Problems::default();
        let vars = vars.iter().map(|&(name, value)| (name.into(), value.into()));
        (Environment::read(vars, &mut problems), problems)
    }

    /// The secret or its problem.
    fn secret(vars: &[(&str, &str)]) -> Result<Option<String>, String> {
        let (environment, problems) = read(vars);
        match problems.all() {
            [] => Ok(environment.get(NAME).map(str::to_owned)),
            [problem] => Err(problem.to_string()),
            _ => panic!("{problems}"),
        }
    }

    /// The same with a file that holds this.
    fn from_file(content: &[u8], beside: &[(&str, &str)]) -> Result<Option<String>, String> {
        let path = temp_dir().join(format!("secret-{:016x}", rand::random::<u64>()));
        fs::write(&path, content).unwrap();
        let found = secret(&[beside, &[(NAME_FILE, path.to_str().unwrap())]].concat());
        fs::remove_file(path).unwrap();
        found
    }

    #[test]
    fn quotes_white_space_and_a_byte_order_mark_around_a_value_are_removed() {
        for raw in ["3111", " 3111\n", "\"3111\"", "'3111'", " \" 3111 \" ", "\u{feff}3111", " \u{feff}\"3111\"\r\n"] {
            assert_eq!(bare(raw).as_deref(), Ok("3111"), "{raw:?}");
        }
        for raw in ["\"", "'", "\"3111", "'3111\""] {
            assert!(bare(raw).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn an_empty_value_counts_as_missing() {
        for raw in ["", "  ", "\t\n", "\"\"", "' '", "\u{feff}"] {
            assert_eq!(read(&[("PORT", raw)]).0.get("PORT"), None, "{raw:?}");
        }
    }

    #[test]
    fn names_are_read_in_capitals_only() {
        assert_eq!(read(&[("port", "1")]).0.get("PORT"), None);
        assert_eq!(read(&[("port", "1"), ("PORT", "2"), ("Port", "3")]).0.port(), 2);
    }

    #[test]
    fn what_is_wrong_with_a_variable_of_another_program_does_not_matter() {
        let broken = |name: &str| {
            let mut problems = Problems::default();
            Environment::read([(name.into(), OsString::from_vec(vec![b'"', 0xff]))], &mut problems);
            problems.all().iter().map(|problem| problem.variable.name).collect::<Vec<_>>()
        };
        assert_eq!(broken("SOMETHING_ELSE"), [] as [&str; 0]);
        assert_eq!(broken("PORT"), ["PORT"]);
        assert_eq!(broken("DATABASE_URL_FILE"), ["DATABASE_URL"]);
        assert!(read(&[("SOMETHING_ELSE", "\"")]).1.all().is_empty());
        assert_eq!(read(&[("PORT", "\"1")]).1.all().len(), 1);
    }

    #[test]
    fn a_secret_is_the_text_of_its_file_without_what_surrounds_it() {
        assert_eq!(from_file(b"hunter2\n", &[]), Ok(Some("hunter2".to_owned())));
        assert_eq!(from_file("\u{feff}hunter2\r\n".as_bytes(), &[(NAME, "")]), Ok(Some("hunter2".to_owned())));
    }

    #[test]
    fn an_empty_file_counts_as_missing() {
        assert_eq!(from_file(b"\n", &[]), Ok(None));
        assert_eq!(from_file(b"", &[(NAME, "hunter2")]), Ok(Some("hunter2".to_owned())));
        assert_eq!(secret(&[(NAME_FILE, " "), (NAME, "hunter2")]), Ok(Some("hunter2".to_owned())));
    }

    #[test]
    fn a_problem_names_the_path_and_never_the_content() {
        let twice = from_file(b"hunter2", &[(NAME, "hunter3")]).unwrap_err();
        assert!(twice.contains(NAME_FILE) && twice.contains("remove one"), "{twice}");
        let binary = from_file(b"hunter2\xff", &[]).unwrap_err();
        assert!(binary.contains("/secret-") && binary.contains("UTF-8"), "{binary}");
        let gone = secret(&[(NAME_FILE, "/run/secrets/gone")]).unwrap_err();
        assert!(gone.contains("/run/secrets/gone") && gone.contains("No such file"), "{gone}");
        let pasted = secret(&[(NAME_FILE, "hunter2")]).unwrap_err();
        assert!(pasted.contains("not the absolute path"), "{pasted}");
        assert!([twice, binary, gone, pasted].iter().all(|problem| !problem.contains("hunter")));
    }

    #[test]
    fn only_secrets_come_from_files() {
        let (environment, problems) = read(&[("PORT_FILE", "/nothing")]);
        assert!(problems.all().is_empty() && environment.get("PORT").is_none());
    }
}
