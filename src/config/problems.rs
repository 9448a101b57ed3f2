//! All problems of a configuration at once.

use std::fmt;

use super::variable::Variable;

/// Enough of a bad value to recognise it.
const SHOWN_CHARS: usize = 80;

/// One variable that keeps the server from starting.
#[derive(Debug)]
pub struct Problem {
    pub variable: &'static Variable,
    /// Completes the sentence that begins with the variable's name; holds nothing of a secret.
    pub why: String,
    /// The value, shortened; none if it is a secret or might hold one.
    pub found: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Variable { name, description, allowed, example, .. } = self.variable;
        write!(f, "{name} {}", self.why)?;
        if let Some(found) = &self.found {
            write!(f, ": {found:?}")?;
        }
        write!(f, "\n  Meaning: {description}\n  Allowed: {allowed}\n  Example: {name}={example}")
    }
}

/// Every problem of a configuration, at most one for each variable. Never holds the value of a secret.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `EX_CONFIG` of sysexits.h.
    pub const EXIT_CODE: u8 = 78;

    pub fn all(&self) -> &[Problem] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn missing(&mut self, variable: &'static Variable) {
        self.push(Problem { variable, why: "is missing".to_owned(), found: None });
    }

    pub(super) fn not_unicode(&mut self, variable: &'static Variable) {
        self.push(Problem { variable, why: "is not valid UTF-8".to_owned(), found: None });
    }

    pub(super) fn bad_file(&mut self, variable: &'static Variable, why: String) {
        self.push(Problem { variable, why, found: None });
    }

    pub(super) fn bad(&mut self, variable: &'static Variable, raw: &str, why: String) {
        // Text with an @ may hold a password: a DATABASE_URL that was pasted one line too low.
        let shown = !variable.secret && !raw.contains('@');
        let found = shown.then(|| raw.chars().take(SHOWN_CHARS).collect());
        self.push(Problem { variable, why, found });
    }

    /// Adds a hint to the problem of a missing variable, if there is one.
    pub(super) fn explain_missing(&mut self, name: &str, hint: &str) {
        let missing = |problem: &&mut Problem| problem.variable.name == name && problem.why == "is missing";
        if let Some(problem) = self.0.iter_mut().find(missing) {
            problem.why = format!("is missing ({hint})");
        }
    }

    fn push(&mut self, problem: Problem) {
        if self.0.iter().all(|known| known.variable.name != problem.variable.name) {
            self.0.push(problem);
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("There is one problem with the configuration.")?,
            count => write!(f, "There are {count} problems with the configuration.")?,
        }
        self.0.iter().try_for_each(|problem| write!(f, "\n\n{problem}"))
    }
}

impl std::error::Error for Problems {}
