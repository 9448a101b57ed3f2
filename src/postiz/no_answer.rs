//! Why Postiz gave no answer that can be judged.

use http::StatusCode;

use crate::error_chain::error_chain;
use crate::outbound::{self, BodyError};

/// Why Postiz gave no answer. Completes the sentence "Postiz ...".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// No connection, or none that lasted; with the cause.
    #[error("can't be reached: {0}")]
    Unreachable(String),
    /// An answer that Postiz's API does not give, by its status.
    #[error("answers with status {0}, which its API never does here")]
    NotTheApi(u16),
    /// Postiz itself failed, by its status.
    #[error("fails with status {0}")]
    Failed(u16),
}

impl NoAnswer {
    pub(super) fn unreachable(error: reqwest::Error) -> Self {
        Self::Unreachable(outbound::cause(error))
    }

    pub(super) fn broken(error: &BodyError) -> Self {
        Self::Unreachable(error_chain(error))
    }

    /// For a status that is no answer.
    pub(super) fn of_status(status: StatusCode) -> Self {
        if status.is_server_error() { Self::Failed(status.as_u16()) } else { Self::NotTheApi(status.as_u16()) }
    }
}
