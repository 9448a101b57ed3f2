//! The text of `DATABASE_URL`, taken apart into libpq's parameters. No error holds any of the text.

use std::collections::BTreeMap;

use super::{pair_form, url_form};

/// Names and values in the order of the text.
pub(super) type Pairs = Vec<(String, String)>;

/// libpq's connection parameters by name; where one is given twice, the last one counts. Has no `Debug`: it holds the
/// password.
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads a URL, or pairs of `name=value`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let url = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let pairs = if text.starts_with(['"', '\'']) {
            return Err("is in quotation marks: leave them off".to_owned());
        } else if let Some(rest) = url {
            url_form::read(rest)?
        } else if text.contains("://") || !text.contains('=') {
            return Err(
                "does not begin with postgres:// or postgresql:// (without the +driver of other languages)".to_owned()
            );
        } else {
            pair_form::read(text)?
        };
        if pairs.iter().any(|(_, value)| value.contains('\0')) {
            return Err("holds a NUL byte".to_owned());
        }
        // libpq takes an empty value for none.
        Ok(Self(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect()))
    }

    /// Whether the text gave it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Its value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Its items: hosts, addresses and ports are lists.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        self.get(name).map(|value| value.split(',').collect()).unwrap_or_default()
    }

    /// Takes it out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Puts it in.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// Drops all others and returns their names.
    pub(super) fn keep_only(&mut self, known: &[&str]) -> Vec<String> {
        self.0.extract_if(.., |name, _| !known.contains(&name.as_str())).map(|(name, _)| name).collect()
    }

    /// One for each host of the list, with that host's address and port alone.
    pub(super) fn each_host(&self) -> Vec<Self> {
        let one = |at: usize| {
            let mut one = Self(self.0.clone());
            for name in ["host", "hostaddr", "port"] {
                // A single port is everyone's.
                if let Some(item) = self.list(name).get(at).filter(|_| self.list(name).len() > 1) {
                    one.set(name, item);
                }
            }
            one
        };
        (0..self.list("host").len().max(self.list("hostaddr").len())).map(one).collect()
    }

    /// libpq's `name='value'` form, which tokio-postgres reads. Holds the password.
    pub(super) fn to_pair_form(&self) -> String {
        let quote = |value: &str| value.replace('\\', "\\\\").replace('\'', "\\'");
        let pairs = self.0.iter().map(|(name, value)| format!("{name}='{}'", quote(value)));
        pairs.collect::<Vec<_>>().join(" ")
    }
}
