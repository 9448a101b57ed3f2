//! The database: reach, TLS, whether it can be written to, rights and tables.

use crate::check::report::Finding;
use crate::config::{Config, DatabaseUrl, SslMode};
use crate::db::{InspectError, Inspection};
use crate::log::error_chain;

const REACH: &str = "postgres.reach";
const TLS: &str = "postgres.tls";
const WRITABLE: &str = "postgres.writable";
const RIGHTS: &str = "postgres.rights";

pub(super) fn findings(config: &Config, inspected: &Result<Inspection, InspectError>) -> Vec<Finding> {
    match inspected {
        Ok(found) => vec![
            Finding::ok(REACH, format!("{} answers.", config.database)),
            encryption(config, found),
            writable(found),
            rights(config, found),
        ],
        Err(error) => vec![unreached(&config.database, error)],
    }
}

fn encryption(config: &Config, found: &Inspection) -> Finding {
    let is_verified = matches!(config.database.tls.mode, Some(SslMode::VerifyCa | SslMode::VerifyFull));
    let verified = if is_verified { "verified" } else { "not verified" };
    let what = match &found.tls_version {
        Some(version) => format!("{version}; the server's certificate is {verified}."),
        None => "PostgreSQL sees no TLS. That is fine on one machine or a private network.".to_owned(),
    };
    Finding::ok(TLS, what)
}

/// Every step of a login writes.
fn writable(found: &Inspection) -> Finding {
    if found.standby {
        let fix = "Name the primary in DATABASE_URL. With several hosts, add target_session_attrs=read-write.";
        Finding::fail(WRITABLE, "It is a standby, which can't be written to.", fix)
    } else if found.read_only {
        let fix = "Look for default_transaction_read_only at the role, the database and in DATABASE_URL's options. Some \
                   providers set it when the disk is full.";
        Finding::fail(WRITABLE, "Its transactions are read-only.", fix)
    } else {
        Finding::ok(WRITABLE, format!("PostgreSQL {} can be written to.", found.version))
    }
}

fn rights(config: &Config, found: &Inspection) -> Finding {
    let role = &found.role;
    let postizs = |table| {
        format!(
            "it is Postiz's own, with the table \"{table}\", and Postiz's start may drop tables that it does not know"
        )
    };
    if let Some(why) = found.postiz_table.as_ref().map(postizs).or(found.foreign.clone()) {
        let fix = "CREATE DATABASE postiz_auth, and name that in DATABASE_URL.";
        return Finding::fail(RIGHTS, format!("This database can't be used: {why}."), fix);
    }
    if !found.lacking.is_empty() {
        let grants: Vec<_> = found.lacking.iter().map(|right| format!("GRANT {right} TO {role};")).collect();
        let database = config.database.config.get_dbname().unwrap_or_default();
        let what = format!("Role {role} lacks rights in database {database}: {}.", found.lacking.join(", "));
        return Finding::fail(RIGHTS, what, format!("As the owner: {}", grants.join(" ")));
    }
    let missing = if found.missing.is_empty() { "" } else { " The server makes its tables when it starts." };
    Finding::ok(RIGHTS, format!("Role {role} has all rights that are needed.{missing}"))
}

/// A database that can't be inspected.
fn unreached(at: &DatabaseUrl, error: &InspectError) -> Finding {
    let (check, fix) = match error {
        InspectError::Settings(_) | InspectError::Certificate(_) => (
            TLS,
            "Add sslrootcert=FILE with the authority's certificate in PEM, readable for the server, and use the host name that \
             the certificate is for. sslmode=require encrypts without verifying.",
        ),
        InspectError::NoTls => {
            (TLS, "Turn TLS on in PostgreSQL (ssl = on). On a private network, sslmode=prefer works without it.")
        }
        InspectError::Refused { code, .. } => (REACH, refused(code)),
        InspectError::Unreachable(cause) if cause.contains("password missing") => (REACH, refused("28P01")),
        InspectError::Unreachable(_) => (
            REACH,
            "Compare host and port of DATABASE_URL with PostgreSQL's, as seen from this machine. Check listen_addresses and \
             firewalls, and whether it is overloaded or paused.",
        ),
    };
    Finding::fail(check, format!("{at} can't be used: {}.", error_chain(error)), fix)
}

/// What to do about a refusal, by its SQLSTATE.
fn refused(code: &str) -> &'static str {
    match code {
        "28P01" => {
            "Put the right password into DATABASE_URL: postgres://USER:PASSWORD@HOST/DATABASE, with reserved characters \
             percent-encoded (@ as %40)."
        }
        "3D000" => "Create the database, or name the right one at the end of DATABASE_URL.",
        "53300" => "Raise max_connections, lower DATABASE_POOL_SIZE, or put a pooler in between.",
        _ => "Fix what the message names.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::report::Verdict;

    fn config() -> Config {
        let variables = [("DATABASE_URL", "postgres://auth:hunter2@db.example.com/auth")];
        Config::from_vars(variables.map(|(name, value)| (name.into(), value.into()))).unwrap()
    }

    fn good() -> Inspection {
        Inspection {
            version: "17.2".to_owned(),
            tls_version: None,
            standby: false,
            read_only: false,
            role: "auth".to_owned(),
            missing: Vec::new(),
            foreign: None,
            lacking: Vec::new(),
            postiz_table: None,
        }
    }

    #[test]
    fn states_that_no_test_database_has_are_judged() {
        use Verdict::{Fail, Ok};
        for (check, found, verdict) in [
            (WRITABLE, good(), Ok),
            (WRITABLE, Inspection { standby: true, ..good() }, Fail),
            (RIGHTS, good(), Ok),
            (RIGHTS, Inspection { postiz_table: Some("OAuthApp".to_owned()), ..good() }, Fail),
            (RIGHTS, Inspection { missing: vec!["device_requests"], ..good() }, Ok),
            (RIGHTS, Inspection { foreign: Some("It is another's".to_owned()), ..good() }, Fail),
        ] {
            let text = format!("{found:?}");
            let findings = findings(&config(), &Result::Ok(found));
            let finding = findings.iter().find(|finding| finding.check == check).unwrap();
            assert_eq!(finding.verdict, verdict, "{check}: {text}");
        }
    }

    #[test]
    fn a_refusal_is_named_and_shows_no_password() {
        let refused = InspectError::Refused { code: "28P01".to_owned(), message: "no".to_owned() };
        let finding = unreached(&config().database, &refused);
        assert!(finding.what.contains("28P01") && !finding.what.contains("hunter2"), "{finding:?}");
    }
}
