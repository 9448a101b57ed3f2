//! What a command prints, and the configuration that it needs.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::LazyLock;

use crate::config::{Config, Problems};

pub(super) const NAME: &str = "postiz-auth-server";

pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| version(option_env!("REVISION")));

/// The version and, if the build was given it in `REVISION`, the beginning of the commit.
fn version(revision: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match revision {
        None | Some("") => version.to_owned(),
        Some(revision) => format!("{version} ({revision:.12})"),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_names_the_commit_of_a_build_that_knows_it() {
        let version = |revision| version(revision).replace(env!("CARGO_PKG_VERSION"), "0.0.0");
        assert_eq!(version(Some("4f2a1b2c3d4e5f60718293a4b5c6d7e8f9012345")), "0.0.0 (4f2a1b2c3d4e)");
        // A build argument without a value is empty.
        for none in [None, Some("")] {
            assert_eq!(version(none), "0.0.0");
        }
    }
}
