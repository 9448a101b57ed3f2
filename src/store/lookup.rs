//! Reading where grants stand: what polls ask, one by one or many in one statement.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::grant::{Decision, GrantId, Standing, Status};
use crate::metrics::BatchMetrics;
use crate::store::batcher::Batcher;
use crate::store::{Link, Statement, Store, StoreError, get, get_bytes};

/// A poll is answered "pending" when Postgres does not answer within this time; it comes again.
const PATIENCE: Duration = Duration::from_secs(3);
/// What the feed reads again, for rows that were settled before it last looked and committed after. The
/// rows that it reads grow with approvals and with this.
const OVERLAPS: [Overlap; 3] =
    [Overlap { each: 100, seconds: 30.0 }, Overlap { each: 10, seconds: 3.0 }, Overlap { each: 1, seconds: 0.3 }];

struct Overlap {
    /// Of so many reads one reads again for so long.
    each: u32,
    seconds: f64,
}

/// Plain columns: the statement is planned anew each time, where each expression costs more than here.
///
/// `OFFSET 0` keeps the planner from reading the whole table for a large group, as it may for
/// `= ANY($1)`: the statistics of a table that fills and empties are always out of date.
pub(super) const STANDING: Statement = Statement {
    name: "standing",
    sql: "SELECT grants.*, now() AS clock FROM unnest($1) AS asked (id) CROSS JOIN LATERAL (
              SELECT id, status, expires_at, leased_until, purge_at, coalesce(polled_at, opened_at) AS heard_at
              FROM device_requests WHERE device_requests.id = asked.id OFFSET 0
          ) AS grants",
};

/// A terminal that was not noted for so long is noted again when it is looked up, which is once a minute.
const UNHEARD: Duration = Duration::from_secs(45);

/// Notes that these terminals still ask: for the page, which warns of approving for nobody. At most
/// once a minute for each, and never for a login that is over within the first.
const HEARD: Statement = Statement {
    name: "heard",
    sql: "UPDATE device_requests SET polled_at = now() WHERE id = ANY($1) AND status IN ('pending', 'authorizing')",
};

/// A poll of a client that keeps RFC 8628's pace: reads, and notes when it was asked.
const PACED: Statement = Statement {
    name: "paced",
    sql: "WITH asked AS (
              UPDATE device_requests SET polled_at = now()
              WHERE id = $1 AND status IN ('pending', 'authorizing')
          )
          SELECT id, status, expires_at, leased_until, purge_at, polled_at AS heard_at, now() AS clock
          FROM device_requests WHERE id = $1",
};

const SETTLED: Statement = Statement {
    name: "settled",
    sql: "SELECT clock.now AS clock, clock.only_read, grants.id, grants.status
          FROM (SELECT now() AS now, current_setting('transaction_read_only') = 'on' AS only_read) AS clock
          LEFT JOIN device_requests AS grants
            ON grants.settled_at > coalesce($1, clock.now) - make_interval(secs => $2)",
};

/// The answer to a poll that has to keep a pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paced {
    /// Where the grant stands.
    pub standing: Standing,
    /// Whether the poll before this one, at whichever replica, was less than the interval ago.
    pub early: bool,
}

impl Store {
    /// Where a grant stands; `None` where there is none. Joins whoever asks at the same time.
    pub async fn standing(&self, id: GrantId) -> Result<Option<Standing>, StoreError> {
        self.lookups.ask(id, PATIENCE).await
    }

    /// Where a grant stands, and whether this poll came less than `pace` after the one before.
    pub async fn paced_standing(&self, id: GrantId, pace: Duration) -> Result<Option<Paced>, StoreError> {
        let rows = self.link.rows(PACED, &[(&id.as_bytes().as_slice(), Type::BYTEA)], PATIENCE).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let early = silence(row)?.is_some_and(|silence| silence < pace);
        Ok(Some(Paced { standing: standing(row)?, early }))
    }
}

pub(super) fn batcher(link: Arc<Link>, batches: BatchMetrics, runtime: &Handle) -> Batcher<GrantId, Option<Standing>> {
    Batcher::start(runtime, move |ids: Vec<GrantId>| {
        batches.sent(STANDING.name, ids.len());
        let link = Arc::clone(&link);
        async move {
            let wanted: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
            let rows = link.rows(STANDING, &[(&wanted, Type::BYTEA_ARRAY)], PATIENCE).await?;
            let mut found = HashMap::with_capacity(rows.len());
            let mut unheard = Vec::new();
            for row in &rows {
                let id = GrantId::from_bytes(get_bytes(row, "id")?);
                let standing = standing(row)?;
                if is_unheard(standing, silence(row)?) {
                    unheard.push(id);
                }
                found.insert(id, standing);
            }
            if !unheard.is_empty() {
                // Nobody waits for it, and a failure leaves it to the next poll.
                tokio::spawn(heard(Arc::clone(&link), unheard));
            }
            Ok(ids.iter().map(|id| found.get(id).copied()).collect())
        }
    })
}

async fn heard(link: Arc<Link>, ids: Vec<GrantId>) {
    let ids: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
    let _ = link.rows(HEARD, &[(&ids, Type::BYTEA_ARRAY)], PATIENCE).await;
}

/// How long the terminal has not been heard of; `None` where it was never noted. A terminal whose
/// clock overtakes the last note has just been heard.
fn silence(row: &Row) -> Result<Option<Duration>, StoreError> {
    let (clock, heard_at): (SystemTime, Option<SystemTime>) = (get(row, "clock")?, get(row, "heard_at")?);
    Ok(heard_at.map(|heard_at| clock.duration_since(heard_at).unwrap_or_default()))
}

fn is_unheard(standing: Standing, silence: Option<Duration>) -> bool {
    matches!(standing, Standing::Waiting { .. }) && silence.is_some_and(|silence| silence > UNHEARD)
}

/// Compares with `clock`, which is the database's own.
fn standing(row: &Row) -> Result<Standing, StoreError> {
    let (clock, expires_at): (SystemTime, SystemTime) = (get(row, "clock")?, get(row, "expires_at")?);
    let (leased_until, purge_at): (Option<SystemTime>, SystemTime) = (get(row, "leased_until")?, get(row, "purge_at")?);
    Ok(match status(row)? {
        Status::Denied => Standing::Denied,
        Status::Approved | Status::Delivered if purge_at <= clock => Standing::Expired,
        Status::Approved | Status::Delivered => Standing::Ready,
        Status::Pending | Status::Authorizing => match expires_at.duration_since(clock) {
            Ok(remaining) if !remaining.is_zero() => Standing::Waiting { remaining },
            // An exchange that was begun before the expiry is under way: it counts as time.
            _ if leased_until.is_some_and(|until| until > clock) => Standing::Waiting { remaining: Duration::ZERO },
            _ => Standing::Expired,
        },
    })
}

pub(super) fn status(row: &Row) -> Result<Status, StoreError> {
    get::<&str>(row, "status")?.parse().map_err(|_| StoreError::Refused)
}

/// Reads which grants were settled since it last looked, whichever replica settled them.
#[derive(Debug)]
pub struct SettledFeed {
    store: Store,
    /// The database's clock when the feed last looked.
    looked_at: Option<SystemTime>,
    /// How often it has looked since it last rested.
    reads: u32,
}

impl SettledFeed {
    /// Starts now: what was settled before is seen by the look-up of whoever asks for it.
    pub fn new(store: Store) -> Self {
        Self { store, looked_at: None, reads: 0 }
    }

    /// Forgets where it was, for a pause in which nobody waited.
    pub fn rest(&mut self) {
        (self.looked_at, self.reads) = (None, 0);
    }

    /// The grants settled since the last call, some of them again.
    pub async fn next(&mut self) -> Result<Vec<(GrantId, Decision)>, StoreError> {
        let overlap =
            OVERLAPS.iter().find(|overlap| self.reads.is_multiple_of(overlap.each)).map_or(0.0, |it| it.seconds);
        let rows = self
            .store
            .link
            .rows(SETTLED, &[(&self.looked_at, Type::TIMESTAMPTZ), (&overlap, Type::FLOAT8)], PATIENCE)
            .await?;
        self.reads = self.reads.wrapping_add(1);
        let mut settled = Vec::new();
        for row in &rows {
            if get(row, "only_read")? {
                // What is settled elsewhere may never come here.
                self.store.link.leave();
                return Err(StoreError::Unreachable);
            }
            self.looked_at = Some(get(row, "clock")?);
            if get::<Option<&[u8]>>(row, "id")?.is_none() {
                continue;
            }
            let id = GrantId::from_bytes(get_bytes(row, "id")?);
            match status(row)? {
                Status::Approved | Status::Delivered => settled.push((id, Decision::Approved)),
                Status::Denied => settled.push((id, Decision::Denied)),
                // Only a revocation leaves them with a time of settlement.
                Status::Pending | Status::Authorizing => settled.push((id, Decision::Revoked)),
            }
        }
        Ok(settled)
    }
}
