//! One environment variable as it was found: missing, good, or bad with the reason.
//!
//! Deserializing a [`Field`] never fails. A mapper stops at its first error; an operator wants all of them.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::problems::Problems;
use super::variables::Variable;

/// A value of the type that the variable asks for, or why there is none. Has no `Debug`: it may hold a secret.
#[derive(Default)]
pub(super) enum Field<T> {
    #[default]
    Missing,
    Good(T),
    Bad {
        raw: String,
        why: String,
    },
}

impl<T: FromStr<Err: Display>> Field<T> {
    fn read(raw: &str) -> Self {
        let bad = |why: &dyn Display| Self::Bad { raw: raw.to_owned(), why: why.to_string() };
        match bare(raw) {
            Err(why) => bad(&why),
            Ok("") => Self::Missing,
            Ok(value) => value.parse().map_or_else(|why| bad(&why), Self::Good),
        }
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|raw| Self::read(&raw))
    }
}

impl<T> Field<T> {
    /// The value. A bad one is a problem, and so is a missing one that is required.
    pub(super) fn take(self, variable: &'static Variable, problems: &mut Problems) -> Option<T> {
        match self {
            Self::Good(value) => return Some(value),
            Self::Bad { raw, why } => problems.bad(variable, &raw, why),
            Self::Missing if variable.required => problems.missing(variable),
            Self::Missing => {}
        }
        None
    }
}

/// Takes off surrounding white space and quotes. `docker run --env-file` keeps the quotes of `NAME="value"`, and nobody
/// who writes them means them to be part of the value.
pub(super) fn bare(raw: &str) -> Result<&str, &'static str> {
    let value = raw.trim();
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            value[1..].strip_suffix(quote).map(str::trim).ok_or("begins with a quotation mark that is never closed")
        }
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_quotes_around_a_value_are_taken_off() {
        for raw in ["3111", " 3111\n", "\"3111\"", "'3111'", " \" 3111 \" "] {
            assert!(matches!(Field::<u16>::read(raw), Field::Good(3111)), "{raw:?}");
        }
    }

    #[test]
    fn an_empty_value_counts_as_missing() {
        for raw in ["", "  ", "\t\n", "\"\"", "' '"] {
            assert!(matches!(Field::<u16>::read(raw), Field::Missing), "{raw:?}");
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_is_bad() {
        for raw in ["\"", "'", "\"3111", "'3111\""] {
            assert!(matches!(Field::<String>::read(raw), Field::Bad { .. }), "{raw:?}");
        }
    }
}
