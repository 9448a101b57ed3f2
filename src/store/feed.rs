//! The decision feed: which grants were decided, or are about to be, since it last asked, at any replica.

use std::time::{Duration, SystemTime};

use strum::EnumString;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::db::{DatabaseError, Parameter, RowExt as _, Statement};
use crate::grant::{Decision, GrantId};
use crate::store::Store;
use crate::store::codec::word;

const TIMEOUT: Duration = Duration::from_secs(3);

/// A read looks back further than to the one before, to catch transactions that committed late: the longer ago that was done,
/// the further. What a read costs grows with the approvals in that time.
struct Overlap {
    every: Duration,
    seconds: f64,
}

const OVERLAPS: [Overlap; 4] = [
    Overlap { every: Duration::from_secs(10), seconds: 30.0 },
    Overlap { every: Duration::from_secs(1), seconds: 3.0 },
    Overlap { every: Duration::from_millis(90), seconds: 0.3 },
    Overlap { every: Duration::ZERO, seconds: 0.03 },
];

/// One row even if nothing has happened, for the clock. `pending` with a `settled_at` is how the version before wrote
/// `revoked`. A status of a later version is left out: its polls look it up.
const DECIDED: Statement = Statement {
    name: "decided",
    sql: "SELECT clock.now AS clock, clock.read_only, grants.id, grants.outcome
          FROM (SELECT now() AS now, current_setting('transaction_read_only') = 'on' AS read_only) AS clock
          LEFT JOIN LATERAL (
              SELECT id, CASE status WHEN 'delivered' THEN 'approved' WHEN 'pending' THEN 'revoked' ELSE status END AS outcome
              FROM device_requests
              WHERE settled_at > coalesce($1, clock.now) - $2 * interval '1 second'
                AND status IN ('approved', 'delivered', 'denied', 'revoked', 'pending')
              UNION ALL
              SELECT id, 'confirmed' FROM device_requests
              WHERE status = 'authorizing' AND confirmed_at > coalesce($1, clock.now) - $2 * interval '1 second'
          ) AS grants ON true",
};

/// What has happened to a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A person confirmed its code, and is at Postiz now.
    Confirmed,
    Decided(Decision),
}

#[derive(EnumString)]
#[strum(serialize_all = "snake_case")]
enum Outcome {
    Confirmed,
    Approved,
    Denied,
    Revoked,
}

/// Reads the decisions of all replicas, in the order of its calls.
#[derive(Debug)]
pub struct DecisionFeed {
    store: Store,
    /// The database's clock at the last read.
    read_at: Option<SystemTime>,
    /// When each overlap, or a longer one, was read last.
    overlapped_at: [Option<Instant>; OVERLAPS.len()],
}

impl DecisionFeed {
    /// Starts now. A poll that arrives later finds earlier decisions by its look-up.
    pub fn new(store: Store) -> Self {
        Self { store, read_at: None, overlapped_at: Default::default() }
    }

    /// Forgets its position, for a pause in which no terminal polls.
    pub fn restart(&mut self) {
        (self.read_at, self.overlapped_at) = (None, Default::default());
    }

    /// The grants confirmed or decided since the last call, some of them again.
    pub async fn next(&mut self) -> Result<Vec<(GrantId, Change)>, DatabaseError> {
        let now = Instant::now();
        let due = self
            .overlapped_at
            .iter()
            .zip(OVERLAPS)
            .take_while(|(at, overlap)| at.is_some_and(|at| now.duration_since(at) < overlap.every));
        let due = due.count().min(OVERLAPS.len() - 1);
        let database = self.store.database();
        let parameters: [Parameter<'_>; 2] =
            [(&self.read_at, Type::TIMESTAMPTZ), (&OVERLAPS[due].seconds, Type::FLOAT8)];
        let rows = database.rows(DECIDED, &parameters, TIMEOUT).await?;
        let first = rows.first().ok_or(DatabaseError::Refused)?;
        if first.field("read_only")? {
            // A standby may never receive what is decided on the primary.
            database.discard_connections();
            return Err(DatabaseError::Unavailable);
        }
        let mut changed = Vec::new();
        for row in &rows {
            if let Some(id) = row.field("id")? {
                changed.push((id, change(row)?));
            }
        }
        self.read_at = Some(first.field("clock")?);
        self.overlapped_at[due..].fill(Some(now));
        Ok(changed)
    }
}

fn change(row: &Row) -> Result<Change, DatabaseError> {
    Ok(match word(row, "outcome")? {
        Outcome::Confirmed => Change::Confirmed,
        Outcome::Approved => Change::Decided(Decision::Approved),
        Outcome::Denied => Change::Decided(Decision::Denied),
        Outcome::Revoked => Change::Decided(Decision::Revoked),
    })
}
