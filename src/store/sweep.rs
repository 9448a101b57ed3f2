//! Removing what is nobody's any more.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::store::{Statement, Store, StoreError};

const PATIENCE: Duration = Duration::from_secs(4);
/// Rows in one statement: few enough that it takes milliseconds.
pub const BATCH: usize = 500;

/// Passes over rows that a login's own statement or another replica's sweep is holding.
const SWEEP: Statement = Statement {
    name: "sweep",
    sql: "DELETE FROM device_requests WHERE id IN (
              SELECT id FROM device_requests WHERE purge_at <= now()
              ORDER BY purge_at LIMIT $1 FOR UPDATE SKIP LOCKED
          )
          RETURNING status",
};

impl Store {
    /// Deletes at most [`BATCH`] rows that are due, and says how many it found.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let most = i64::try_from(BATCH).unwrap_or(i64::MAX);
        Ok(self.link.rows(SWEEP, &[(&most, Type::INT8)], PATIENCE).await?.len())
    }
}
