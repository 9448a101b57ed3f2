//! The command line. A line that can't be understood ends with exit code 2, as is usual.

mod check;
mod revoke;
pub mod serve;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};

use crate::config::Problems;
use crate::log::error_chain;

const NAME: &str = "postiz-auth-server";
static VERSION: LazyLock<String> = LazyLock::new(|| version(option_env!("REVISION")));

/// The auth server behind `postiz auth:login`
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version = VERSION.as_str(),
    after_help = "Configured by environment variables, which .env.example lists.\n\
                  Exit codes: 0 done, 1 failed, 2 wrong command line, 78 a variable can't be used."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve logins until SIGTERM or Ctrl-C (the default)
    Serve,
    /// Check the set-up: variables, database, Postiz, public address
    #[command(after_help = check::HELP)]
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End logins that are in progress
    Revoke(revoke::Arguments),
    /// Ask the server on this machine whether it is alive
    Healthcheck,
    /// Print the version
    Version,
}

/// `arguments` begin with the program's name.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line.command.unwrap_or(Command::Serve),
        Err(answer) => {
            // `--help` and `--version` come here too, with exit code 0.
            let _ = answer.print();
            return u8::try_from(answer.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    let done: Result<_, Box<dyn Error>> = match command {
        Command::Serve => serve::run().await.map(|code| (code, String::new())),
        Command::Check { json } => check::run(json).await,
        Command::Revoke(arguments) => revoke::run(arguments).await.map(|text| (0, text)),
        Command::Healthcheck => check::health().await.map(|()| (0, String::new())),
        Command::Version => Ok((0, format!("{NAME} {}\n", *VERSION))),
    };
    // A reader that has closed its end is not a failure.
    match done {
        Ok((code, text)) => {
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::from(code)
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}", error_chain(&*error));
            ExitCode::from(if error.is::<Problems>() { Problems::EXIT_CODE } else { 1 })
        }
    }
}

/// The version and, if the build was given it in `REVISION`, the beginning of the commit.
fn version(revision: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match revision {
        None | Some("") => version.to_owned(),
        Some(revision) => format!("{version} ({revision:.12})"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_version_names_the_commit_of_a_build_that_knows_it() {
        let version = |revision| version(revision).replace(env!("CARGO_PKG_VERSION"), "0.0.0");
        assert_eq!(version(Some("4f2a1b2c3d4e5f60718293a4b5c6d7e8f9012345")), "0.0.0 (4f2a1b2c3d4e)");
        // A build argument without a value is empty.
        for none in [None, Some("")] {
            assert_eq!(version(none), "0.0.0");
        }
    }

    #[test]
    fn wrong_lines_are_refused() {
        for line in [
            "revoke",
            "revoke nonsense",
            "revoke --all-pending bcdfbcdf",
            "check --yaml",
            "check --json x",
            "serve now",
            "srve",
            "--port 80",
            "healthcheck x",
            "completions bash",
        ] {
            let arguments = format!("postiz-auth-server {line}");
            let error = CommandLine::try_parse_from(arguments.split(' ')).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
