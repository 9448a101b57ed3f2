//! `revoke`: end logins that are in progress.

use std::error::Error;

use crate::config::Config;
use crate::db::Database;
use crate::grant::{GrantId, UserCode};
use crate::store::{Store, Which};

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

/// The servers that run count and log what it ends.
pub(super) async fn run(arguments: Arguments) -> Result<String, Box<dyn Error>> {
    let which = arguments.which.unwrap_or(Which::AllPending);
    let config = Config::from_env()?;
    let revoked = Store::new(&config, Database::new(&config)?)
        .revoke(which)
        .await
        .map_err(|error| format!("Not revoked, or not all: {error}. Run `postiz-auth-server check` for details."))?;
    if revoked.is_empty() && which != Which::AllPending {
        return Err("No login under way has this code or reference.".into());
    }
    let mut lines: Vec<_> = revoked.iter().map(|grant| format!("revoked {}\n", grant.reference())).collect();
    lines
        .push(format!("Logins revoked: {}. Their terminals learn it at once, or at their next poll.\n", revoked.len()));
    Ok(lines.concat())
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
