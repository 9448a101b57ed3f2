//! What an entry of the table of variables consists of.

use super::vars::Vars;

/// An environment variable that the server reads.
#[derive(Debug)]
pub struct Variable {
    pub name: &'static str,
    /// The field of [`Config`](super::Config).
    pub(super) field: &'static str,
    pub presence: Presence,
    /// Whether its value must never be shown. It may also come from the file that [`Self::file_variable`] names.
    pub secret: bool,
    /// One sentence.
    pub description: &'static str,
    pub allowed: &'static str,
    pub example: &'static str,
}

/// What happens if a variable is not set.
#[derive(Debug, Clone, Copy)]
pub enum Presence {
    /// The server does not start.
    Required,
    /// As if it were set to this text.
    Default(&'static str),
    /// As if it were set to a text that follows from other variables or the terminal.
    Derived(fn(&Vars) -> String),
    /// The field has its type's default: nothing.
    Optional,
}

impl Variable {
    /// `NAME_FILE`, for a secret of Docker, Kubernetes or systemd.
    pub fn file_variable(&self) -> Option<String> {
        self.secret.then(|| format!("{}_FILE", self.name))
    }

    pub fn is_required(&self) -> bool {
        matches!(self.presence, Presence::Required)
    }

    pub fn default(&self) -> Option<&'static str> {
        if let Presence::Default(text) = self.presence { Some(text) } else { None }
    }
}
