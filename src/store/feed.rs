//! The decision feed: which grants were decided since it last asked, at any replica.

use std::time::{Duration, SystemTime};

use tokio_postgres::types::Type;

use crate::db::{DatabaseError, RowExt as _, Statement};
use crate::grant::{Decision, GrantId};
use crate::store::Store;
use crate::store::codec::word;

const TIMEOUT: Duration = Duration::from_secs(3);

/// Every `every`-th read looks back `seconds` further, to catch transactions that committed late. What a read costs grows
/// with the approvals in that time.
struct Overlap {
    every: u32,
    seconds: f64,
}

const OVERLAPS: [Overlap; 3] =
    [Overlap { every: 100, seconds: 30.0 }, Overlap { every: 10, seconds: 3.0 }, Overlap { every: 1, seconds: 0.3 }];

/// One row even if nothing was decided, for the clock. `pending` with a `settled_at` is how the version before wrote
/// `revoked`. A status of a later version is left out: its polls look it up.
const DECIDED: Statement = Statement {
    name: "decided",
    sql: "SELECT clock.now AS clock, clock.read_only, grants.id,
                 CASE grants.status WHEN 'delivered' THEN 'approved' WHEN 'pending' THEN 'revoked'
                                    ELSE grants.status END AS decision
          FROM (SELECT now() AS now, current_setting('transaction_read_only') = 'on' AS read_only) AS clock
          LEFT JOIN device_requests AS grants
            ON grants.settled_at > coalesce($1, clock.now) - make_interval(secs => $2)
               AND grants.status IN ('approved', 'delivered', 'denied', 'revoked', 'pending')",
};

/// Reads the decisions of all replicas, in the order of its calls.
#[derive(Debug)]
pub struct DecisionFeed {
    store: Store,
    /// The database's clock at the last read.
    read_at: Option<SystemTime>,
    reads: u32,
}

impl DecisionFeed {
    /// Starts now. A poll that arrives later finds earlier decisions by its look-up.
    pub fn new(store: Store) -> Self {
        Self { store, read_at: None, reads: 0 }
    }

    /// Forgets its position, for a pause in which no terminal polls.
    pub fn restart(&mut self) {
        (self.read_at, self.reads) = (None, 0);
    }

    /// The grants decided since the last call, some of them again.
    pub async fn next(&mut self) -> Result<Vec<(GrantId, Decision)>, DatabaseError> {
        let overlap = OVERLAPS.iter().find(|overlap| self.reads.is_multiple_of(overlap.every));
        let overlap = overlap.map_or(0.0, |overlap| overlap.seconds);
        let database = self.store.database();
        let rows =
            database.rows(DECIDED, &[(&self.read_at, Type::TIMESTAMPTZ), (&overlap, Type::FLOAT8)], TIMEOUT).await?;
        let first = rows.first().ok_or(DatabaseError::Refused)?;
        if first.field("read_only")? {
            // A standby may never receive what is decided on the primary.
            database.discard_connections();
            return Err(DatabaseError::Unavailable);
        }
        let mut decided = Vec::new();
        for row in &rows {
            if let Some(id) = row.field("id")? {
                decided.push((id, word(row, "decision")?));
            }
        }
        self.read_at = Some(first.field("clock")?);
        self.reads = self.reads.wrapping_add(1);
        Ok(decided)
    }
}
