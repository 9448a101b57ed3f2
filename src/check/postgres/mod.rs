//! The database: reach, TLS, version, rights, clock, latency, poolers.

mod unreached;

use std::time::Duration;

use crate::check::report::Finding;
use crate::config::{Config, SslMode};
use crate::db::{InspectError, Inspection};

/// PostgreSQL 13, in the notation of `server_version_num`.
const OLDEST: i32 = 130_000;
/// Log lines further apart can't be read side by side.
const CLOCK: f64 = 5.0;
/// Each step of a login is one round trip, and the page waits for a few.
const FAR: Duration = Duration::from_millis(50);
/// PostgreSQL keeps some for superusers, and replicas overlap while they are exchanged.
const RESERVED: i64 = 3;

const REACH: &str = "postgres.reach";
const TLS: &str = "postgres.tls";
const RIGHTS: &str = "postgres.rights";

/// What was found, in sentences.
pub(super) fn findings(config: &Config, looked: &Result<Inspection, InspectError>) -> Vec<Finding> {
    match looked {
        Ok(found) => vec![
            Finding::right(REACH, format!("{} answers.", config.database)),
            encryption(config, found),
            version(found),
            writable(found),
            rights(config, found),
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
            Finding::right(TLS, format!("{version}; the server has proved who it is."))
        }
        (Some(version), _) => Finding::right(TLS, format!("{version}; the server's certificate is not verified.")),
        (None, mode) => Finding::right(
            TLS,
            format!(
                "PostgreSQL sees no TLS, which sslmode={} allows; fine on one machine or a private network.",
                name(mode)
            ),
        ),
    }
}

fn name(mode: SslMode) -> &'static str {
    match mode {
        SslMode::Disable => "disable",
        SslMode::Allow => "allow",
        SslMode::Prefer => "prefer",
        SslMode::Require => "require",
        SslMode::VerifyCa => "verify-ca",
        SslMode::VerifyFull => "verify-full",
    }
}

fn version(found: &Inspection) -> Finding {
    let what = format!("PostgreSQL {}.", found.version);
    if found.version_number >= OLDEST {
        return Finding::right("postgres.version", what);
    }
    Finding::wrong(
        "postgres.version",
        what,
        "The server's statements need PostgreSQL 13.",
        "Use PostgreSQL 13 or newer.",
    )
}

fn writable(found: &Inspection) -> Finding {
    const CHECK: &str = "postgres.writable";
    if found.standby {
        return Finding::wrong(
            CHECK,
            "It is a standby: it follows another server and takes no changes.",
            "Every step of a login is a change.",
            "Name the primary in DATABASE_URL; with several hosts, add target_session_attrs=read-write.",
        );
    }
    if found.read_only {
        return Finding::wrong(
            CHECK,
            "Its transactions are read-only.",
            "Every step of a login is a change.",
            "Look for default_transaction_read_only at the role, the database and in DATABASE_URL's options; some \
             providers set it when the disk is full.",
        );
    }
    Finding::right(CHECK, "It takes changes.")
}

fn rights(config: &Config, found: &Inspection) -> Finding {
    let role = &found.role;
    let Some(schema) = &found.schema else {
        return Finding::wrong(
            RIGHTS,
            format!("The search path of role {role} leads to no schema."),
            "The server has nowhere to make its tables.",
            "CREATE SCHEMA, or ALTER ROLE .. SET search_path to one that is there.",
        );
    };
    if found.lacking.is_empty() {
        return Finding::right(RIGHTS, format!("Role {role} may do all that is needed in schema {schema}."));
    }
    let grants: Vec<_> = found.lacking.iter().map(|right| format!("GRANT {right} TO {role};")).collect();
    let database = config.database.config.get_dbname().unwrap_or_default();
    Finding::wrong(
        RIGHTS,
        format!("Role {role} lacks rights in database {database}: {}.", found.lacking.join(", ")),
        "The server makes its tables itself when it starts, and writes to them at each step. Since PostgreSQL 15 the \
         schema public lets only its owner make tables.",
        format!("As its owner: {}", grants.join(" ")),
    )
}

fn clock(found: &Inspection) -> Finding {
    const CHECK: &str = "postgres.clock";
    let ahead = found.clock_ahead;
    if ahead.abs() < CLOCK {
        return Finding::right(CHECK, format!("Its clock and this machine's are {:.1} s apart.", ahead.abs()));
    }
    let where_it_is = if ahead > 0.0 { "ahead of" } else { "behind" };
    Finding::doubtful(
        CHECK,
        format!("Its clock is {:.0} s {where_it_is} this machine's.", ahead.abs()),
        "Logins go by the database's clock alone and are not affected; the times in logs are, and certificates may seem \
         expired.",
        "Run NTP on both.",
    )
}

fn latency(found: &Inspection) -> Finding {
    const CHECK: &str = "postgres.latency";
    let what = format!("A round trip takes {:.1} ms.", found.latency.as_secs_f64() * 1e3);
    if found.latency < FAR {
        return Finding::right(CHECK, what);
    }
    Finding::doubtful(
        CHECK,
        what,
        "Each step of a login is one round trip, and a waiting terminal hears of its approval after one more.",
        "Run the server in the database's region.",
    )
}

fn connections(config: &Config, found: &Inspection) -> Finding {
    const CHECK: &str = "postgres.connections";
    let wanted = i64::try_from(config.database_pool_size).unwrap_or(i64::MAX);
    let most = found.max_connections;
    if found.pooled {
        return Finding::right(CHECK, "A pooler in transaction mode stands in between, which is fine.");
    }
    if wanted <= most - RESERVED {
        return Finding::right(CHECK, format!("{wanted} of its {most} connections for each replica."));
    }
    Finding::doubtful(
        CHECK,
        format!("It takes {most} connections in all, and each replica may want {wanted}."),
        "A replica that gets no connection makes people wait.",
        "Lower DATABASE_POOL_SIZE, raise max_connections, or put a pooler in between.",
    )
}

#[cfg(test)]
mod tests;
