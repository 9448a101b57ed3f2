//! An error and its causes in one line.

use std::error::Error;

/// `error: cause: cause of the cause`.
///
/// Libraries hide the useful sentence: tokio-postgres prints "db error", reqwest "error sending request".
pub(crate) fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
