//! The command line. A line that can't be understood ends with exit code 2, as is usual.

mod check;
mod output;
mod revoke;
pub mod serve;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::{NAME, VERSION, say};

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
    match command {
        Command::Serve => serve::run().await,
        Command::Check { json } => check::run(json).await,
        Command::Revoke(arguments) => revoke::run(arguments).await,
        Command::Healthcheck => check::health().await,
        Command::Version => say(&format!("{NAME} {}\n", *VERSION)),
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
