//! Secrets from files: `NAME_FILE` in place of `NAME`. No problem holds the content of a file.

use std::fs;

use super::problems::Problems;
use super::variable::Variable;
use super::variables::ALL;
use super::vars::{Vars, value};

/// Sets each secret whose file is named to the text in it. An empty file counts as missing, like an empty value.
pub(super) fn read(vars: &mut Vars, problems: &mut Problems) {
    for variable in ALL {
        match text(variable, vars) {
            Ok(Some(text)) => drop(vars.insert(variable.name.to_owned(), text)),
            Ok(None) => {}
            Err(why) => problems.bad_file(variable, why),
        }
    }
}

/// The error completes the sentence "NAME ...".
fn text(variable: &Variable, vars: &Vars) -> Result<Option<String>, String> {
    let Some(named_by) = variable.file_variable() else { return Ok(None) };
    let Some(path) = value(vars, &named_by) else { return Ok(None) };
    // Text that is no path may be the secret itself.
    if !path.starts_with('/') {
        return Err(format!("can't be read: {named_by} is not the absolute path of a file"));
    }
    let text = fs::read_to_string(path).map_err(|error| format!("can't be read from {path} ({named_by}): {error}"))?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    if value(vars, variable.name).is_some() {
        return Err(format!("is set twice, and by {named_by}: remove one of the two"));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use std::env::temp_dir;

    use super::*;

    const NAME: &str = "POSTIZ_OAUTH_CLIENT_SECRET";
    const NAME_FILE: &str = "POSTIZ_OAUTH_CLIENT_SECRET_FILE";

    /// The secret, or its problem, with a file that holds this.
    fn from_file(content: &[u8], beside: &[(&str, &str)]) -> Result<Option<String>, String> {
        let path = temp_dir().join(format!("secret-{:016x}", rand::random::<u64>()));
        fs::write(&path, content).unwrap();
        let found = from_path(path.to_str().unwrap(), beside);
        fs::remove_file(path).unwrap();
        found
    }

    fn from_path(path: &str, beside: &[(&str, &str)]) -> Result<Option<String>, String> {
        let set = beside.iter().copied().chain([(NAME_FILE, path)]);
        let mut vars: Vars = set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut problems = Problems::default();
        read(&mut vars, &mut problems);
        match problems.all() {
            [] => Ok(value(&vars, NAME).map(str::to_owned)),
            [problem] => Err(problem.to_string()),
            _ => panic!("{problems}"),
        }
    }

    #[test]
    fn a_secret_is_the_text_of_its_file_without_the_line_break() {
        assert_eq!(from_file(b"hunter2\n", &[]), Ok(Some("hunter2".to_owned())));
        assert_eq!(from_file(b"hunter2\r\n", &[(NAME, "")]), Ok(Some("hunter2".to_owned())));
    }

    #[test]
    fn an_empty_file_counts_as_missing() {
        assert_eq!(from_file(b"\n", &[]), Ok(None));
        assert_eq!(from_file(b"", &[(NAME, "hunter2")]), Ok(Some("hunter2".to_owned())));
        assert_eq!(from_path(" ", &[(NAME, "hunter2")]), Ok(Some("hunter2".to_owned())));
    }

    #[test]
    fn a_problem_names_the_path_and_never_the_content() {
        let twice = from_file(b"hunter2", &[(NAME, "hunter3")]).unwrap_err();
        assert!(twice.contains(NAME_FILE) && twice.contains("remove one"), "{twice}");
        let binary = from_file(b"hunter2\xff", &[]).unwrap_err();
        assert!(binary.contains("/secret-") && binary.contains("UTF-8"), "{binary}");
        let gone = from_path("/run/secrets/gone", &[]).unwrap_err();
        assert!(gone.contains("/run/secrets/gone") && gone.contains("No such file"), "{gone}");
        let pasted = from_path("hunter2", &[]).unwrap_err();
        assert!(pasted.contains("not the absolute path"), "{pasted}");
        assert!([twice, binary, gone, pasted].iter().all(|problem| !problem.contains("hunter")));
    }

    #[test]
    fn only_secrets_come_from_files() {
        let mut vars = Vars::from([("PORT_FILE".to_owned(), "/nothing".to_owned())]);
        let mut problems = Problems::default();
        read(&mut vars, &mut problems);
        assert!(problems.is_empty() && !vars.contains_key("PORT"));
    }
}
