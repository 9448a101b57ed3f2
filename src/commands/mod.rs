//! The command line.

pub mod check;
pub mod healthcheck;
pub mod revoke;
pub mod serve;
pub mod signals;

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config::{Config, Problems};
use crate::store::Which;

/// What the program can be asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Command {
    Serve,
    Check { json: bool },
    Revoke(Which),
    Healthcheck,
    Help,
    Version,
}

const HELP: &str = "\
The auth server behind `postiz auth:login`.

Usage: postiz-auth-server [COMMAND]

Commands:
  serve        answer logins (the default); configured by the environment, see .env.example
  check        say what is right and wrong with the set-up; --json for machines; exit code 0 where
               nothing is wrong, 1 where something is, 78 where a variable can't be used
  revoke       end a login under way, by its user code or its reference, or all of them: --all-pending
  healthcheck  ask the server on this machine whether it is alive; exit code 0 or 1
  help         this text
  version      the version
";

/// Exit code for a command line that can't be understood (`EX_USAGE`).
const USAGE: u8 = 64;

/// Runs what the arguments ask for.
pub async fn run(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    match parse(arguments) {
        Some(Command::Serve) => serve::run().await,
        Some(Command::Check { json }) => check::run(json).await,
        Some(Command::Revoke(which)) => revoke::run(which).await,
        Some(Command::Healthcheck) => healthcheck::run().await,
        Some(Command::Help) => say(HELP),
        Some(Command::Version) => say(concat!("postiz-auth-server ", env!("CARGO_PKG_VERSION"), "\n")),
        None => {
            complain(HELP);
            ExitCode::from(USAGE)
        }
    }
}

/// The configuration in the environment; where it has problems they are told, and the exit code is the error.
fn configuration() -> Result<Config, ExitCode> {
    Config::from_env().map_err(|problems| {
        complain(&format!("{problems}\n"));
        ExitCode::from(Problems::EXIT_CODE)
    })
}

fn parse(arguments: impl IntoIterator<Item = String>) -> Option<Command> {
    let mut arguments = arguments.into_iter();
    let command = match arguments.next().as_deref() {
        None | Some("serve") => Command::Serve,
        Some("check") => {
            return match (arguments.next().as_deref(), arguments.next()) {
                (None, _) => Some(Command::Check { json: false }),
                (Some("--json"), None) => Some(Command::Check { json: true }),
                _ => None,
            };
        }
        Some("revoke") => Command::Revoke(revoke::parse(&arguments.next()?)?),
        Some("healthcheck") => Command::Healthcheck,
        Some("help" | "--help" | "-h") => Command::Help,
        Some("version" | "--version" | "-V") => Command::Version,
        Some(_) => return None,
    };
    arguments.next().is_none().then_some(command)
}

/// Writes to standard output; a reader that went away is no failure.
fn say(text: &str) -> ExitCode {
    let _ = io::stdout().lock().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Writes to standard error.
fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<Command> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn without_a_command_it_serves() {
        assert_eq!(parsed(""), Some(Command::Serve));
        assert_eq!(parsed("serve"), Some(Command::Serve));
    }

    #[test]
    fn what_it_does_not_know_it_refuses() {
        for line in [
            "revoke",
            "revoke nonsense",
            "revoke --all-pending x",
            "check --yaml",
            "check --json x",
            "serve now",
            "srve",
            "--port 80",
            "healthcheck x",
        ] {
            assert_eq!(parsed(line), None, "{line}");
        }
    }
}
