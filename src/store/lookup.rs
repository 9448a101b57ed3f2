//! Reading where grants stand: what polls ask, one by one or many in one statement.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::grant::{GrantId, Settled, Standing, Status};
use crate::metrics::Batches;
use crate::store::batcher::Batcher;
use crate::store::{Link, Statement, Store, StoreError, get, get_bytes};

/// A poll is answered "pending" when Postgres does not answer within this time; it comes again.
const PATIENCE: Duration = Duration::from_secs(3);
/// What the feed reads again each time, for rows that were settled before it last looked and
/// committed after.
const OVERLAP_SECONDS: f64 = 2.0;

/// `remaining` counts as time while an exchange is under way that was begun before the expiry.
pub(super) const STANDING: Statement = Statement {
    name: "standing",
    sql: "SELECT id, status,
                 extract(epoch FROM expires_at - now())::float8 AS remaining,
                 coalesce(leased_until > now(), false) AS leased,
                 purge_at <= now() AS over,
                 status IN ('pending', 'authorizing')
                   AND now() - coalesce(polled_at, opened_at) > interval '60 seconds' AS unheard
          FROM device_requests WHERE id = ANY($1)",
};

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
          SELECT id, status,
                 extract(epoch FROM expires_at - now())::float8 AS remaining,
                 coalesce(leased_until > now(), false) AS leased,
                 purge_at <= now() AS over,
                 coalesce(now() - polled_at < make_interval(secs => $2), false) AS early
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
        let (id, pace) = (id.as_bytes().as_slice(), pace.as_secs_f64());
        let rows = self.link.rows(PACED, &[(&id, Type::BYTEA), (&pace, Type::FLOAT8)], PATIENCE).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Paced { standing: standing(row)?, early: get(row, "early")? }))
    }
}

pub(super) fn batcher(link: Arc<Link>, batches: Batches, runtime: &Handle) -> Batcher<GrantId, Option<Standing>> {
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
                if get(row, "unheard")? {
                    unheard.push(id);
                }
                found.insert(id, standing(row)?);
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

fn standing(row: &Row) -> Result<Standing, StoreError> {
    let over: bool = get(row, "over")?;
    let leased: bool = get(row, "leased")?;
    let remaining: f64 = get(row, "remaining")?;
    Ok(match status(row)? {
        Status::Denied => Standing::Denied,
        Status::Approved | Status::Delivered if over => Standing::Expired,
        Status::Approved | Status::Delivered => Standing::Ready,
        Status::Pending | Status::Authorizing if remaining <= 0.0 && !leased => Standing::Expired,
        Status::Pending | Status::Authorizing => {
            Standing::Waiting { remaining: Duration::try_from_secs_f64(remaining).unwrap_or_default() }
        }
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
}

impl SettledFeed {
    /// Starts now: what was settled before is seen by the look-up of whoever asks for it.
    pub fn new(store: Store) -> Self {
        Self { store, looked_at: None }
    }

    /// Forgets where it was, for a pause in which nobody waited.
    pub fn rest(&mut self) {
        self.looked_at = None;
    }

    /// The grants settled since the last call, some of them again.
    pub async fn next(&mut self) -> Result<Vec<(GrantId, Settled)>, StoreError> {
        let rows = self
            .store
            .link
            .rows(SETTLED, &[(&self.looked_at, Type::TIMESTAMPTZ), (&OVERLAP_SECONDS, Type::FLOAT8)], PATIENCE)
            .await?;
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
                Status::Approved | Status::Delivered => settled.push((id, Settled::Approved)),
                Status::Denied => settled.push((id, Settled::Denied)),
                // Only a revocation leaves them with a time of settlement.
                Status::Pending | Status::Authorizing => settled.push((id, Settled::Revoked)),
            }
        }
        Ok(settled)
    }
}
