//! Deletes finished rows, in batches.

use std::time::Duration;

use strum::EnumString;
use tokio_postgres::types::Type;

use crate::db::{DatabaseError, RowExt as _, Statement};
use crate::grant::GrantId;
use crate::store::Store;
use crate::store::codec::word;

const TIMEOUT: Duration = Duration::from_secs(4);

/// `SKIP LOCKED` passes over rows that a step or another replica's cleanup is changing.
const DELETE_GRANTS: Statement = Statement {
    name: "delete_grants",
    sql: "DELETE FROM device_requests WHERE id IN (
              SELECT id FROM device_requests WHERE purge_at <= now()
              ORDER BY purge_at LIMIT $1 FOR UPDATE SKIP LOCKED
          )
          RETURNING id, CASE status WHEN 'approved' THEN 'undelivered' WHEN 'revoked' THEN 'revoked'
                                    WHEN 'denied' THEN 'finished' WHEN 'delivered' THEN 'finished'
                                    ELSE 'expired' END AS outcome",
};

const DELETE_COUNTERS: Statement = Statement {
    name: "delete_counters",
    sql: "DELETE FROM guess_counters WHERE client IN (
              SELECT client FROM guess_counters WHERE ends_at <= now()
              ORDER BY ends_at LIMIT $1 FOR UPDATE SKIP LOCKED
          )
          RETURNING 1",
};

/// Why a finished grant was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum DeletedBecause {
    Expired,
    Revoked,
    /// Approved, and its terminal did not fetch the token.
    Undelivered,
    /// Denied or delivered.
    Finished,
}

impl Store {
    /// Deletes at most `max` finished grants.
    pub async fn delete_grants(&self, max: usize) -> Result<Vec<(GrantId, DeletedBecause)>, DatabaseError> {
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let rows = self.database.rows(DELETE_GRANTS, &[(&max, Type::INT8)], TIMEOUT).await?;
        rows.iter().map(|row| Ok((row.field("id")?, word(row, "outcome")?))).collect()
    }

    /// Deletes at most `max` counters of wrong codes whose window is over, and returns their number.
    pub async fn delete_counters(&self, max: usize) -> Result<usize, DatabaseError> {
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        Ok(self.database.rows(DELETE_COUNTERS, &[(&max, Type::INT8)], TIMEOUT).await?.len())
    }
}
