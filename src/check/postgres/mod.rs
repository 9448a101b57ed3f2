//! The database: reach, TLS, version, rights, clock, latency, poolers.

mod unreached;

use std::time::Duration;

use crate::check::report::Finding;
use crate::config::{Config, SslMode};
use crate::db::{InspectError, Inspection};

use unreached::{REACH, TLS};

/// PostgreSQL 13, in the notation of `server_version_num`.
const OLDEST: i32 = 130_000;
/// In seconds. Log lines further apart can't be read side by side.
const CLOCK_TOLERANCE: f64 = 5.0;
/// Each step of a login is one round trip, and the page waits for several.
const HIGH_LATENCY: Duration = Duration::from_millis(50);
/// PostgreSQL reserves some for superusers, and replicas overlap during a deploy.
const RESERVED: i64 = 3;

const RIGHTS: &str = "postgres.rights";

pub(super) fn findings(config: &Config, inspected: &Result<Inspection, InspectError>) -> Vec<Finding> {
    match inspected {
        Ok(found) => vec![
            Finding::ok(REACH, format!("{} answers.", config.database)),
            encryption(config, found),
            version(found),
            writable(found),
            rights(config, found),
            own(found),
            clock(found),
            latency(found),
            connections(config, found),
        ],
        Err(error) => vec![unreached::finding(config, error)],
    }
}

fn encryption(config: &Config, found: &Inspection) -> Finding {
    match (&found.tls_version, config.database.tls.mode) {
        (Some(version), SslMode::VerifyCa | SslMode::VerifyFull) => {
            Finding::ok(TLS, format!("{version}; the server's certificate is verified."))
        }
        (Some(version), _) => Finding::ok(TLS, format!("{version}; the server's certificate is not verified.")),
        (None, mode) => Finding::ok(
            TLS,
            format!(
                "PostgreSQL sees no TLS, which sslmode={mode} allows. That is fine on one machine or a private network."
            ),
        ),
    }
}

fn version(found: &Inspection) -> Finding {
    let what = format!("PostgreSQL {}.", found.version);
    if found.version_number >= OLDEST {
        return Finding::ok("postgres.version", what);
    }
    Finding::fail(
        "postgres.version",
        what,
        "The server's statements need PostgreSQL 13.",
        "Use PostgreSQL 13 or newer.",
    )
}

fn writable(found: &Inspection) -> Finding {
    const CHECK: &str = "postgres.writable";
    if found.standby {
        return Finding::fail(
            CHECK,
            "It is a standby, which can't be written to.",
            "Every step of a login writes.",
            "Name the primary in DATABASE_URL. With several hosts, add target_session_attrs=read-write.",
        );
    }
    if found.read_only {
        return Finding::fail(
            CHECK,
            "Its transactions are read-only.",
            "Every step of a login writes.",
            "Look for default_transaction_read_only at the role, the database and in DATABASE_URL's options. Some \
             providers set it when the disk is full.",
        );
    }
    Finding::ok(CHECK, "It can be written to.")
}

fn rights(config: &Config, found: &Inspection) -> Finding {
    let role = &found.role;
    let Some(schema) = &found.schema else {
        return Finding::fail(
            RIGHTS,
            format!("The search path of role {role} names no schema that exists."),
            "The server has no place for its tables.",
            "CREATE SCHEMA, or ALTER ROLE .. SET search_path to one that exists.",
        );
    };
    if found.lacking.is_empty() {
        return Finding::ok(RIGHTS, format!("Role {role} has all rights that are needed in schema {schema}."));
    }
    let grants: Vec<_> = found.lacking.iter().map(|right| format!("GRANT {right} TO {role};")).collect();
    let database = config.database.config.get_dbname().unwrap_or_default();
    Finding::fail(
        RIGHTS,
        format!("Role {role} lacks rights in database {database}: {}.", found.lacking.join(", ")),
        "The server creates its tables when it starts, and writes to them at each step. Since PostgreSQL 15, only its \
         owner can create tables in the schema public.",
        format!("As the owner: {}", grants.join(" ")),
    )
}

fn own(found: &Inspection) -> Finding {
    const CHECK: &str = "postgres.own";
    let Some(table) = &found.postiz_table else { return Finding::ok(CHECK, "It holds no table of Postiz.") };
    Finding::fail(
        CHECK,
        format!("It is Postiz's own database: it holds the table \"{table}\"."),
        "When Postiz starts, it may drop tables that it does not know, with all logins in progress.",
        "CREATE DATABASE postiz_auth, and name that in DATABASE_URL.",
    )
}

fn clock(found: &Inspection) -> Finding {
    const CHECK: &str = "postgres.clock";
    let ahead = found.clock_ahead;
    if ahead.abs() < CLOCK_TOLERANCE {
        return Finding::ok(CHECK, format!("Its clock and this machine's are {:.1} s apart.", ahead.abs()));
    }
    let where_it_is = if ahead > 0.0 { "ahead of" } else { "behind" };
    Finding::warn(
        CHECK,
        format!("Its clock is {:.0} s {where_it_is} this machine's.", ahead.abs()),
        "Logins use the database's clock alone and are not affected. The times in logs are, and certificates may seem \
         expired.",
        "Run NTP on both.",
    )
}

fn latency(found: &Inspection) -> Finding {
    const CHECK: &str = "postgres.latency";
    let what = format!("A round trip takes {:.1} ms.", found.latency.as_secs_f64() * 1e3);
    if found.latency < HIGH_LATENCY {
        return Finding::ok(CHECK, what);
    }
    Finding::warn(
        CHECK,
        what,
        "Each step of a login is one round trip, and a waiting terminal learns of its approval after one more.",
        "Run the server in the database's region.",
    )
}

fn connections(config: &Config, found: &Inspection) -> Finding {
    const CHECK: &str = "postgres.connections";
    // The pool, and the health check's own one.
    let wanted = i64::try_from(config.database_pool_size + 1).unwrap_or(i64::MAX);
    let most = found.max_connections;
    if found.pooled {
        return Finding::ok(
            CHECK,
            "A pooler is in between, which is fine. PostgreSQL plans each statement anew there.",
        );
    }
    if wanted <= most - RESERVED {
        return Finding::ok(CHECK, format!("Each replica uses at most {wanted} of its {most} connections."));
    }
    Finding::warn(
        CHECK,
        format!("It allows {most} connections in all, and each replica may use {wanted}."),
        "People wait if a replica gets no connection.",
        "Lower DATABASE_POOL_SIZE, raise max_connections, or put a pooler in between.",
    )
}

#[cfg(test)]
mod tests;
