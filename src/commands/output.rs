//! What a command prints, and the configuration that it needs.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config::{Config, Problems};

/// The configuration in the environment. If it has problems, they are printed and the exit code is the error.
pub(super) fn configuration() -> Result<Config, ExitCode> {
    Config::from_env().map_err(|problems| {
        complain(&format!("{problems}\n"));
        ExitCode::from(Problems::EXIT_CODE)
    })
}

/// Writes to standard output; a reader that has closed it is not a failure.
pub(super) fn say(text: &str) -> ExitCode {
    let _ = io::stdout().lock().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Writes to standard error.
pub(super) fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
