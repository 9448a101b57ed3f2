//! The database: reach, TLS, version, rights, tables, room for the pool.

use crate::check::report::{Check, Finding};
use crate::config::{Config, DatabaseUrl, SslMode};
use crate::db::{InspectError, Inspection};
use crate::log::error_chain;

const REACH: Check = Check::new("postgres.reach", "All logins are kept there: without it, none can be started.");
const TLS: Check = Check::new("postgres.tls", "The server connects as sslmode in DATABASE_URL demands, or not at all.");
const VERSION: Check = Check::new("postgres.version", "The server's statements need PostgreSQL 13.");
const WRITABLE: Check = Check::new("postgres.writable", "Every step of a login writes.");
const RIGHTS: Check = Check::new(
    "postgres.rights",
    "The server creates the tables that are missing when it starts, and writes to them at each step. Since PostgreSQL 15, only \
     its owner can create tables in the schema public.",
);
const OWN: Check = Check::new(
    "postgres.own",
    "When Postiz starts, it may drop tables that it does not know, with all logins in progress.",
);
const CONNECTIONS: Check = Check::new("postgres.connections", "People wait if a replica gets no connection.");

/// PostgreSQL 13, in the notation of `server_version_num`.
const OLDEST: i32 = 130_000;
/// PostgreSQL reserves some for superusers, and replicas overlap during a deploy.
const RESERVED: i64 = 3;

pub(super) fn findings(config: &Config, inspected: &Result<Inspection, InspectError>) -> Vec<Finding> {
    match inspected {
        Ok(found) => vec![
            REACH.ok(format!("{} answers.", config.database)),
            encryption(config, found),
            version(found),
            writable(found),
            rights(config, found),
            own(found),
            connections(config, found),
        ],
        Err(error) => vec![unreached(&config.database, error)],
    }
}

fn encryption(config: &Config, found: &Inspection) -> Finding {
    let is_verified = matches!(config.database.tls.mode, Some(SslMode::VerifyCa | SslMode::VerifyFull));
    match &found.tls_version {
        Some(version) if is_verified => TLS.ok(format!("{version}; the server's certificate is verified.")),
        Some(version) => TLS.ok(format!("{version}; the server's certificate is not verified.")),
        None => TLS.ok("PostgreSQL sees no TLS. That is fine on one machine or a private network."),
    }
}

fn version(found: &Inspection) -> Finding {
    let what = format!("PostgreSQL {}.", found.version);
    if found.version_number >= OLDEST { VERSION.ok(what) } else { VERSION.fail(what, "Use PostgreSQL 13 or newer.") }
}

fn writable(found: &Inspection) -> Finding {
    if found.standby {
        WRITABLE.fail(
            "It is a standby, which can't be written to.",
            "Name the primary in DATABASE_URL. With several hosts, add target_session_attrs=read-write.",
        )
    } else if found.read_only {
        WRITABLE.fail(
            "Its transactions are read-only.",
            "Look for default_transaction_read_only at the role, the database and in DATABASE_URL's options. Some providers set \
             it when the disk is full.",
        )
    } else {
        WRITABLE.ok("It can be written to.")
    }
}

fn rights(config: &Config, found: &Inspection) -> Finding {
    let role = &found.role;
    let Some(schema) = &found.schema else {
        return RIGHTS.fail(
            format!("The search path of role {role} names no schema that exists."),
            "CREATE SCHEMA, or ALTER ROLE .. SET search_path to one that exists.",
        );
    };
    if let Some(foreign) = &found.foreign {
        return RIGHTS.fail(format!("{foreign}."), "CREATE DATABASE postiz_auth, and name that in DATABASE_URL.");
    }
    if !found.lacking.is_empty() {
        let grants: Vec<_> = found.lacking.iter().map(|right| format!("GRANT {right} TO {role};")).collect();
        let database = config.database.config.get_dbname().unwrap_or_default();
        return RIGHTS.fail(
            format!("Role {role} lacks rights in database {database}: {}.", found.lacking.join(", ")),
            format!("As the owner: {}", grants.join(" ")),
        );
    }
    let missing = if found.missing.is_empty() { "" } else { " The server makes its tables when it starts." };
    RIGHTS.ok(format!("Role {role} has all rights that are needed in schema {schema}.{missing}"))
}

fn own(found: &Inspection) -> Finding {
    match &found.postiz_table {
        None => OWN.ok("It holds no table of Postiz."),
        Some(table) => OWN.fail(
            format!("It is Postiz's own database: it holds the table \"{table}\"."),
            "CREATE DATABASE postiz_auth, and name that in DATABASE_URL.",
        ),
    }
}

fn connections(config: &Config, found: &Inspection) -> Finding {
    // The pool, and the health check's own one.
    let wanted = i64::try_from(config.database_pool_size + 1).unwrap_or(i64::MAX);
    let most = found.max_connections;
    if found.pooled {
        CONNECTIONS.ok("A pooler is in between, which is fine. PostgreSQL plans each statement anew there.")
    } else if wanted <= most - RESERVED {
        CONNECTIONS.ok(format!("Each replica uses at most {wanted} of its {most} connections."))
    } else {
        CONNECTIONS.warn(
            format!("It allows {most} connections in all, and each replica may use {wanted}."),
            "Lower DATABASE_POOL_SIZE, raise max_connections, or put a pooler in between.",
        )
    }
}

/// A database that can't be inspected.
fn unreached(at: &DatabaseUrl, error: &InspectError) -> Finding {
    let (check, fix) = match error {
        InspectError::Settings(_) => (TLS, "Put the file there, in PEM, readable for the server."),
        InspectError::Certificate(_) => (
            TLS,
            "Add sslrootcert=FILE with the authority's certificate, as your provider shows it, and use the host name that the \
             certificate is for. sslmode=require encrypts without verifying.",
        ),
        InspectError::NoTls => {
            (TLS, "Turn TLS on in PostgreSQL (ssl = on). On a private network, sslmode=prefer works without it.")
        }
        InspectError::Refused { code, .. } => (REACH, refused(code)),
        InspectError::Unreachable(cause) if cause.contains("password missing") => (
            REACH,
            "Put the password into DATABASE_URL, after the user name: postgres://USER:PASSWORD@HOST/DATABASE, with reserved \
             characters percent-encoded (@ as %40).",
        ),
        InspectError::Unreachable(_) => (
            REACH,
            "Compare host and port of DATABASE_URL with PostgreSQL's, as seen from this machine. Check listen_addresses, \
             firewalls and private networks.",
        ),
    };
    check.fail(format!("{at} can't be used: {}.", error_chain(error)), fix)
}

/// What to do about a refusal, by its SQLSTATE.
fn refused(code: &str) -> &'static str {
    match code {
        "28P01" => "Put the right password into DATABASE_URL, reserved characters percent-encoded (@ as %40).",
        "28000" => {
            "Create the role, and allow it in pg_hba.conf from this address. A hostssl line needs TLS (sslmode)."
        }
        "3D000" => "Create the database, or name the right one at the end of DATABASE_URL.",
        "53300" => "Raise max_connections, lower DATABASE_POOL_SIZE, or put a pooler in between.",
        "08P01" => "A pooler refuses a parameter of DATABASE_URL: remove options= and the like.",
        "57P03" => "It is starting or recovering: wait and check again.",
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
            version_number: 170_002,
            tls_version: None,
            standby: false,
            read_only: false,
            role: "auth".to_owned(),
            schema: Some("public".to_owned()),
            missing: Vec::new(),
            foreign: None,
            lacking: Vec::new(),
            pooled: false,
            max_connections: 100,
            postiz_table: None,
        }
    }

    #[test]
    fn states_that_no_test_database_has_are_judged() {
        use Verdict::{Fail, Ok, Warn};
        for (check, found, verdict) in [
            ("postgres.version", good(), Ok),
            ("postgres.version", Inspection { version_number: 120_022, ..good() }, Fail),
            ("postgres.connections", Inspection { max_connections: 12, ..good() }, Ok),
            ("postgres.connections", Inspection { max_connections: 11, ..good() }, Warn),
            ("postgres.connections", Inspection { max_connections: 11, pooled: true, ..good() }, Ok),
            ("postgres.own", good(), Ok),
            ("postgres.own", Inspection { postiz_table: Some("OAuthApp".to_owned()), ..good() }, Fail),
            ("postgres.rights", Inspection { schema: None, ..good() }, Fail),
            ("postgres.rights", Inspection { missing: vec!["device_requests"], ..good() }, Ok),
            ("postgres.rights", Inspection { foreign: Some("It is another's".to_owned()), ..good() }, Fail),
        ] {
            let text = format!("{found:?}");
            let findings = findings(&config(), &Result::Ok(found));
            let finding = findings.iter().find(|finding| finding.check == check).unwrap();
            assert_eq!(finding.verdict, verdict, "{check}: {text}");
        }
    }

    #[test]
    fn each_refusal_has_a_fix_and_shows_no_password() {
        for code in ["28P01", "28000", "3D000", "53300", "08P01", "57P03", "XX000"] {
            let refused = InspectError::Refused { code: code.to_owned(), message: "no".to_owned() };
            let finding = unreached(&config().database, &refused);
            assert!(finding.what.contains(code) && !finding.what.contains("hunter2"), "{finding:?}");
        }
    }
}
