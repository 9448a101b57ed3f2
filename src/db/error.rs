//! Why a statement failed, and what that means for the next attempt.

use crate::log::error_chain;

/// A statement was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// PostgreSQL did not answer, or not in time. A later attempt may succeed.
    #[error("the database is unavailable")]
    Unavailable,
    /// PostgreSQL refused the statement, or answered with a row that this version can't read: a bug.
    #[error("the database refused a statement")]
    Refused,
}

/// Why one attempt, or its connection, failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
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
pub(super) enum Failure {
    /// There is no connection, no answer, or the server is a standby now. Other statements fail as well.
    Outage,
    /// Tables or columns are missing: they were dropped, or another database has taken the place.
    MissingSchema,
    /// This attempt failed, as by a lock, a conflict or a full disk. The next one may not.
    Retry,
    Refused,
}

impl AttemptError {
    pub(super) fn failure(&self) -> Failure {
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
        _ if ["08", "28", "57", "58"].contains(&&code[..2]) => Failure::Outage,
        _ => Failure::Refused,
    }
}

/// Without the details of the server's errors, which hold the values of rows.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error().map(|error| (error.code().code(), error.message())) {
        Some((code, message)) => format!("{message} ({code})"),
        None if has_no_tls(error) => "the server has no TLS; sslmode=prefer connects without it".to_owned(),
        None => error_chain(error),
    }
}

/// The driver has only a sentence for it.
pub(super) fn has_no_tls(error: &tokio_postgres::Error) -> bool {
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
            ("42501 23505 22P02", Failure::Refused),
        ] {
            for code in codes.split(' ') {
                assert_eq!(of_code(code), meaning, "{code}");
            }
        }
    }
}
