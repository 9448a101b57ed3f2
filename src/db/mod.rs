//! The way to PostgreSQL: connecting, TLS, the pool, timeouts, retries, the schema; and why a statement failed. Knows no
//! grant.
//!
//! No statement needs session state, so a pooler in transaction mode may stand in between. PostgreSQL is the only clock: SQL
//! compares each time with its `now()`, never with a replica's.

mod connection;
mod database;
mod direct;
mod inspect;
mod schema;
mod tls;

use std::error::Error;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tracing::warn;

use crate::log::error_chain;

pub use database::{Database, Load};
pub use inspect::{InspectError, Inspection, inspect};
pub use schema::SchemaState;
pub use tls::TlsError;

/// A statement with its name in logs and metrics.
#[derive(Debug, Clone, Copy)]
pub struct Statement {
    pub name: &'static str,
    pub sql: &'static str,
}

/// A value with its type: behind a pooler, nothing else tells the type.
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);
pub type Parameters<'a> = &'a [Parameter<'a>];

pub trait RowExt {
    /// A column by its name. A row that is not what its statement promises is [`DatabaseError::Refused`].
    fn field<'a, T: FromSql<'a>>(&'a self, column: &str) -> Result<T, DatabaseError>;
}

impl RowExt for Row {
    fn field<'a, T: FromSql<'a>>(&'a self, column: &str) -> Result<T, DatabaseError> {
        self.try_get(column).map_err(|error| {
            warn!(column, %error, "the database answered with an unexpected row");
            DatabaseError::Refused
        })
    }
}

/// A `float8` of seconds. A negative one reads as zero.
#[derive(Debug, Clone, Copy)]
pub struct Seconds(pub Duration);

impl<'a> FromSql<'a> for Seconds {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        f64::from_sql(ty, raw).map(|seconds| Self(Duration::try_from_secs_f64(seconds).unwrap_or_default()))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::FLOAT8
    }
}

/// A statement was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// PostgreSQL did not answer, or not in time. A later attempt may succeed.
    #[error("the database is unavailable")]
    Unavailable,
    /// PostgreSQL refused the statement, or answered with a row that this version can't read: a bug.
    #[error("the database refused a statement")]
    Refused,
    /// The row exists already.
    #[error("the row exists already")]
    Duplicate,
}

/// Why one attempt, or its connection, failed.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    /// Other statements, or a lock, took the time.
    #[error("no connection or no answer before the deadline")]
    Late,
    /// There is no answer, or no server to ask.
    #[error("{0}")]
    NoAnswer(String),
    #[error("{}", describe(.0))]
    Driver(#[from] tokio_postgres::Error),
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// There is no connection, no answer, or the server is a standby now. Other statements fail as well.
    Outage,
    /// Tables or columns are missing: they were dropped, or another database has taken the place.
    MissingSchema,
    /// This attempt failed, as by a lock, a conflict or a full disk. The next one may not.
    Retry,
    Refused,
    Duplicate,
}

impl AttemptError {
    fn failure(&self) -> Failure {
        match self {
            Self::Late => Failure::Retry,
            Self::NoAnswer(_) => Failure::Outage,
            // Without a code, the error is not the server's: the connection broke.
            Self::Driver(error) => error.code().map_or(Failure::Outage, |code| of_code(code.code())),
        }
    }
}

/// Codes and their classes are those of PostgreSQL's Appendix A.
fn of_code(code: &str) -> Failure {
    match code {
        "42P01" | "42703" => Failure::MissingSchema,
        // A full disk, or no connection left, is not over with another connection.
        "57014" | "55P03" | "40001" | "40P01" | "53100" | "53200" | "53300" | "53400" => Failure::Retry,
        // 0A000: the table was changed, and its rows no longer fit the plan that this connection keeps.
        "0A000" | "25006" | "3D000" => Failure::Outage,
        "23505" => Failure::Duplicate,
        _ if ["08", "28", "57", "58"].contains(&&code[..2]) => Failure::Outage,
        _ => Failure::Refused,
    }
}

/// Without the details of the server's errors, which hold the values of rows.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error().map(|error| (error.code().code(), error.message())) {
        Some((code, message)) => format!("{message} ({code})"),
        None if has_no_tls(error) => "the server has no TLS; sslmode=prefer connects without it".to_owned(),
        None => error_chain(error),
    }
}

/// The driver has only a sentence for it.
fn has_no_tls(error: &tokio_postgres::Error) -> bool {
    error_chain(error).contains("server does not support TLS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_meaning() {
        for (codes, meaning) in [
            ("57P01 57P03 08006 58000 3D000 28P01 0A000 25006", Failure::Outage),
            ("57014 55P03 40001 40P01 53100 53300", Failure::Retry),
            ("42P01 42703", Failure::MissingSchema),
            ("23505", Failure::Duplicate),
            ("42501 22P02", Failure::Refused),
        ] {
            for code in codes.split(' ') {
                assert_eq!(of_code(code), meaning, "{code}");
            }
        }
    }
}
