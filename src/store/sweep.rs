//! Removing what is nobody's any more.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::grant::{GrantId, Status};
use crate::store::lookup::status;
use crate::store::{Statement, Store, StoreError, get, get_bytes};

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
          RETURNING id, status, settled_at IS NOT NULL AS settled",
};

/// How a login was left that is nobody's any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nobody decided in time.
    Undecided,
    /// The operator ended it.
    Revoked,
    /// It was approved, and its terminal never came.
    Unclaimed,
    /// Denied, or delivered.
    Decided,
}

impl Store {
    /// Deletes at most [`BATCH`] rows that are due, and says how each was left.
    pub async fn sweep(&self) -> Result<Vec<(GrantId, Left)>, StoreError> {
        let most = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let rows = self.link.rows(SWEEP, &[(&most, Type::INT8)], PATIENCE).await?;
        rows.iter().map(|row| Ok((GrantId::from_bytes(get_bytes(row, "id")?), left(row)?))).collect()
    }
}

fn left(row: &Row) -> Result<Left, StoreError> {
    Ok(match status(row)? {
        Status::Pending | Status::Authorizing if get(row, "settled")? => Left::Revoked,
        Status::Pending | Status::Authorizing => Left::Undecided,
        Status::Approved => Left::Unclaimed,
        Status::Denied | Status::Delivered => Left::Decided,
    })
}
