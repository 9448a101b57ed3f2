//! The decision feed's statement: which grants were decided since the last read, at any replica.

use std::time::{Duration, SystemTime};

use tokio_postgres::types::Type;

use crate::db::{DatabaseError, Parameter, Statement};
use crate::grant::{Decision, GrantId};
use crate::store::{POLL_TIMEOUT, RowExt as _, Store, word};

/// One row even if nothing was decided, for the clock. It may have been set back since the last read.
const DECIDED: Statement = Statement {
    name: "decided",
    sql: "SELECT clock.now AS clock, clock.read_only, grants.id, grants.outcome
          FROM (SELECT now() AS now, current_setting('transaction_read_only') = 'on' AS read_only) AS clock
          LEFT JOIN LATERAL (
              SELECT id, CASE status WHEN 'delivered' THEN 'approved' ELSE status END AS outcome
              FROM device_requests
              WHERE settled_at > least($1, clock.now) - $2 * interval '1 second'
                AND status IN ('approved', 'delivered', 'denied', 'revoked')
          ) AS grants ON true",
};

/// The decisions up to a moment of the database's clock, some of them again.
#[derive(Debug)]
pub struct Decided {
    pub clock: SystemTime,
    pub grants: Vec<(GrantId, Decision)>,
}

impl Store {
    /// The decisions since `since` (now, if `None`) and `overlap` before, for transactions that committed late.
    pub async fn decided(&self, since: Option<SystemTime>, overlap: Duration) -> Result<Decided, DatabaseError> {
        let overlap = overlap.as_secs_f64();
        let parameters: [Parameter<'_>; 2] = [(&since, Type::TIMESTAMPTZ), (&overlap, Type::FLOAT8)];
        let rows = self.database.rows(DECIDED, &parameters, POLL_TIMEOUT).await?;
        let first = rows.first().ok_or(DatabaseError::Refused)?;
        if first.field("read_only")? {
            // A standby may never receive what is decided on the primary.
            self.database.discard_connections();
            return Err(DatabaseError::Unavailable);
        }
        let mut grants = Vec::new();
        for row in &rows {
            if let Some(id) = row.field("id")? {
                grants.push((id, word(row, "outcome")?));
            }
        }
        Ok(Decided { clock: first.field("clock")?, grants })
    }
}
