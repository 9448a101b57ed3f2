//! `revoke`: end logins that are in progress.

use std::process::ExitCode;

use crate::app;
use crate::commands::output::{complain, configuration, say};
use crate::db::DatabaseError;
use crate::flow::Which;
use crate::grant::{GrantId, UserCode};
use crate::log::error_chain;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// User code, or the reference that pages and logs show
    #[arg(value_name = "CODE|REFERENCE", value_parser = parse, required_unless_present = "all_pending")]
    which: Option<Which>,
    /// End all logins that are not finished
    #[arg(long, conflicts_with = "which")]
    all_pending: bool,
}

/// A reference is eight hex digits in lower case, as pages and logs write it. In capitals it is one too, unless it can
/// be a user code.
fn parse(argument: &str) -> Result<Which, &'static str> {
    let reference = |text: &str| GrantId::parse_reference(text).map(Which::Reference);
    reference(argument)
        .or_else(|| argument.parse::<UserCode>().ok().map(Which::UserCode))
        .or_else(|| reference(&argument.to_ascii_lowercase()))
        .ok_or("neither a user code (like BCDF-GHJK) nor a reference (eight hex digits)")
}

/// Exit codes: 1 if there is no such login or no database, 78 if a variable can't be used.
pub(super) async fn run(arguments: Arguments) -> ExitCode {
    let which = arguments.which.unwrap_or(Which::AllPending);
    let config = match configuration() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let flow = match app::flow(&config) {
        Ok(flow) => flow,
        Err(error) => {
            complain(&format!("{}\n", error_chain(&error)));
            return ExitCode::FAILURE;
        }
    };
    match flow.revoke(which).await {
        Ok(revoked) if revoked.is_empty() && which != Which::AllPending => {
            complain("No login under way has this code or reference.\n");
            ExitCode::FAILURE
        }
        Ok(revoked) => {
            for grant in &revoked {
                say(&format!("revoked {}\n", grant.reference()));
            }
            say(&format!("Logins revoked: {}. Their terminals learn it at their next poll.\n", revoked.len()))
        }
        Err(error) => {
            let why = match error {
                DatabaseError::Unavailable => "the database is unavailable",
                DatabaseError::Refused => "the database refused the statement",
            };
            complain(&format!("Nothing was revoked: {why}. Run `postiz-auth-server check` for details.\n"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_and_a_user_code_differ_in_form() {
        let code = |text: &str| Ok(Which::UserCode(text.parse().unwrap()));
        assert_eq!(parse("1a2b3c4d"), Ok(Which::Reference([0x1a, 0x2b, 0x3c, 0x4d])));
        assert_eq!(parse("1A2B3C4D"), Ok(Which::Reference([0x1a, 0x2b, 0x3c, 0x4d])));
        assert_eq!(parse("12345678"), Ok(Which::Reference([0x12, 0x34, 0x56, 0x78])));
        assert_eq!(parse("bcdfbcdf"), Ok(Which::Reference([0xbc, 0xdf, 0xbc, 0xdf])));
        assert_eq!(parse("BCDFBCDF"), code("BCDF-BCDF"));
        assert_eq!(parse("bcdf-bcdf"), code("BCDF-BCDF"));
        for text in ["", "all", "abc", "1a2b3c4", "1a2b3c4de"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
