//! Under which OAuth client people approve at Postiz.

use secrecy::SecretString;

use super::problems::Problems;
use super::variable::Variable;
use super::variables::{Config, POSTIZ_OAUTH_CLIENT_ID, POSTIZ_OAUTH_CLIENT_SECRET};
use super::vars::{Vars, value};

/// Either one app that somebody made by hand, or a client for each grant.
#[derive(Debug, Clone, Copy)]
pub enum PostizApp<'a> {
    /// One app for all grants: `POSTIZ_OAUTH_CLIENT_ID` and `POSTIZ_OAUTH_CLIENT_SECRET`.
    ByHand { client_id: &'a str, client_secret: &'a SecretString },
    /// Neither is set: the server registers a client at Postiz for each grant (RFC 7591).
    Registered,
}

impl Config {
    pub fn postiz_app(&self) -> PostizApp<'_> {
        match (&self.client_id, &self.client_secret) {
            (Some(client_id), Some(client_secret)) => PostizApp::ByHand { client_id, client_secret },
            // A configuration with one of them does not load.
            _ => PostizApp::Registered,
        }
    }
}

/// Reports one of the two variables without the other.
pub(super) fn require_both_or_neither(vars: &Vars, problems: &mut Problems) {
    let [id, secret] = [&POSTIZ_OAUTH_CLIENT_ID, &POSTIZ_OAUTH_CLIENT_SECRET];
    let is_set = |variable: &Variable| value(vars, variable.name).is_some();
    let (missing, set) = match (is_set(id), is_set(secret)) {
        (true, false) => (secret, id),
        (false, true) => (id, secret),
        (true, true) | (false, false) => return,
    };
    problems.missing(missing);
    problems.explain_missing(missing.name, &format!("{} is set: set both, or neither", set.name));
}
