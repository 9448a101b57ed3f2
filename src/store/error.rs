//! What can go wrong between us and Postgres, and whether trying again may help.

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

/// A step was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Postgres did not answer, or not in time; it may well do so later.
    #[error("the database is out of reach")]
    Unreachable,
    /// Postgres refused the statement, or answered what we can't read: ours to mend.
    #[error("the database refused a statement")]
    Refused,
}

/// Why one attempt failed; for the log and for the decision to try again.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error("no connection")]
    Pool(#[source] PoolError),
    #[error("the statement failed")]
    Statement(#[source] tokio_postgres::Error),
    #[error("no answer in time")]
    Timeout,
}

impl AttemptError {
    /// Whether another attempt, on another connection, may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Timeout => true,
            Self::Pool(PoolError::Backend(error)) | Self::Statement(error) => is_transient(error),
            Self::Pool(_) => true,
        }
    }

    /// Whether our tables are gone: someone put an empty database in place of the old one.
    pub(super) fn is_missing_schema(&self) -> bool {
        matches!(self, Self::Statement(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE))
    }

    /// Whether this server only reads: another one is the primary now.
    pub(super) fn is_read_only(&self) -> bool {
        matches!(self, Self::Statement(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION))
    }

    /// The whole chain of causes in one line.
    pub(super) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            // tokio-postgres says only "db error"; the server's own sentence is below it.
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

fn is_transient(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        // Not an answer of the server's: the connection broke or was never made.
        return true;
    };
    // The classes are those of the table in PostgreSQL's Appendix A.
    let class = &code.code()[..2];
    matches!(class, "08" | "53" | "57" | "58")
        // A standby that was the primary a moment ago.
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
        || *code == SqlState::T_R_SERIALIZATION_FAILURE
        || *code == SqlState::T_R_DEADLOCK_DETECTED
        || *code == SqlState::LOCK_NOT_AVAILABLE
        // An empty database in place of the old one: the schema is made again.
        || *code == SqlState::UNDEFINED_TABLE
        || *code == SqlState::INVALID_CATALOG_NAME
}
