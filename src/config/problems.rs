//! All problems of a configuration at once. None holds the value of a secret.

use std::fmt;

use super::variables::Variable;

/// Enough of a bad value to recognise it.
const SHOWN_CHARS: usize = 80;

/// One variable that keeps the server from starting.
#[derive(Debug)]
pub struct Problem {
    pub variable: &'static Variable,
    /// Completes the sentence that begins with the variable's name.
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

/// Every problem of a configuration, at most one for each variable: the first that was noted.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `EX_CONFIG` of sysexits.h.
    pub const EXIT_CODE: u8 = 78;

    pub fn all(&self) -> &[Problem] {
        &self.0
    }

    pub(super) fn note(&mut self, variable: &'static Variable, why: impl Into<String>, value: Option<&str>) {
        if self.0.iter().all(|known| known.variable.name != variable.name) {
            let found = value.filter(|_| !variable.secret).and_then(shown);
            self.0.push(Problem { variable, why: why.into(), found });
        }
    }
}

/// The beginning of a value. `None` for text with an @, which may hold a password: a `DATABASE_URL` that was pasted one line
/// too low.
pub(super) fn shown(value: &str) -> Option<String> {
    (!value.contains('@')).then(|| value.chars().take(SHOWN_CHARS).collect())
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
