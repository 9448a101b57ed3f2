//! Why a statement failed, and whether a retry may succeed.

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::error::SqlState;

/// A statement was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// Postgres did not answer, or not in time. A later attempt may succeed.
    #[error("the database is unavailable")]
    Unavailable,
    /// The database answers, but not as many statements as this replica has. A later attempt may succeed.
    #[error("this replica is overloaded")]
    Overloaded,
    /// Postgres refused the statement, or answered with a row that this version can't read: a bug.
    #[error("the database refused a statement")]
    Refused,
}

/// Why one attempt failed.
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

    /// Whether other statements fail as well: there is no connection, or no answer.
    pub(super) fn is_outage(&self) -> bool {
        matches!(self, Self::Pool(_)) || self.is_transient()
    }

    /// Whether all connections stayed in use.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Pool(PoolError::Timeout(TimeoutType::Wait)))
    }

    /// Whether the tables are missing: an empty database replaced the old one.
    pub(super) fn is_missing_schema(&self) -> bool {
        matches!(self, Self::Statement(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE))
    }

    /// Whether this server is read-only: another one is the primary now.
    pub(super) fn is_read_only(&self) -> bool {
        matches!(self, Self::Statement(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION))
    }
}

fn is_transient(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        // The server did not send this error: the connection broke or was never made.
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
        // An empty database replaced the old one: the migrations run again.
        || *code == SqlState::UNDEFINED_TABLE
        || *code == SqlState::INVALID_CATALOG_NAME
}
