//! `revoke`: end logins that are under way.

use std::process::ExitCode;

use tokio::runtime::Handle;

use crate::app;
use crate::commands::{complain, configuration, say};
use crate::flow::RevokeOutcome;
use crate::grant::{GrantId, UserCode};
use crate::store::Which;

/// What an argument means: a login's reference is eight hex digits in lower case, as pages and logs
/// write it; anything else is a user code, as people type it.
pub(super) fn parse(argument: &str) -> Option<Which> {
    if argument == "--all-pending" {
        return Some(Which::AllPending);
    }
    let reference = GrantId::parse_reference(argument).map(Which::Reference);
    reference.or_else(|| argument.parse::<UserCode>().ok().map(Which::UserCode))
}

/// Ends them, by the database in the environment. Exit codes: 0 where it did, 1 where there was no such login or no
/// database, 78 where a variable can't be used.
pub async fn run(which: Which) -> ExitCode {
    let config = match configuration() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let flow = match app::flow(&config, &Handle::current()) {
        Ok(flow) => flow,
        Err(error) => {
            complain(&format!("{error}\n"));
            return ExitCode::FAILURE;
        }
    };
    match flow.revoke(which).await {
        RevokeOutcome::Revoked(revoked) => {
            for grant in &revoked {
                say(&format!("revoked {}\n", grant.reference()));
            }
            say(&format!("Logins revoked: {}. Their terminals hear of it within a poll.\n", revoked.len()))
        }
        RevokeOutcome::NotFound => {
            complain("No login under way has this code or reference.\n");
            ExitCode::FAILURE
        }
        RevokeOutcome::Failed(error) => {
            complain(&format!("Nothing was revoked: {error}. `postiz-auth-server check` says more.\n"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_told_from_a_user_code_by_its_form() {
        let code = |text: &str| Some(Which::UserCode(text.parse().unwrap()));
        assert_eq!(parse("1a2b3c4d"), Some(Which::Reference([0x1a, 0x2b, 0x3c, 0x4d])));
        assert_eq!(parse("bcdfbcdf"), Some(Which::Reference([0xbc, 0xdf, 0xbc, 0xdf])));
        assert_eq!(parse("BCDFBCDF"), code("BCDF-BCDF"));
        assert_eq!(parse("bcdf-bcdf"), code("BCDF-BCDF"));
        assert_eq!(parse("--all-pending"), Some(Which::AllPending));
        for nothing in ["", "--all", "abc", "1a2b3c4", "1a2b3c4de"] {
            assert_eq!(parse(nothing), None, "{nothing}");
        }
    }
}
