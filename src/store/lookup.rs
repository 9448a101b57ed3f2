//! Reads the part of a grant's status that its terminal may know: for one poll, or for many in one statement.

use std::collections::HashMap;
use std::time::Duration;

use strum::EnumString;
use tokio::runtime::Handle;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::db::{Batcher, Database, DatabaseError, Parameter, RowExt as _, Seconds, Statement};
use crate::grant::{ClientId, GrantId};
use crate::metrics::BatchMetrics;
use crate::store::codec::word;
use crate::store::{Standing, Store};

/// After this the poll is answered `authorization_pending`; the terminal polls again.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A terminal whose last noted poll is older than this is noted again by its next look-up.
const NOTE_AFTER: Duration = Duration::from_secs(45);

/// The columns of [`Standing`]. An exchange that was begun before the expiry counts as time left.
macro_rules! standing {
    () => {
        "CASE WHEN status = 'denied' THEN 'denied'
              WHEN status IN ('approved', 'delivered') AND purge_at > now() THEN 'ready'
              WHEN status IN ('pending', 'authorizing')
                   AND (expires_at > now() OR leased_until > now()) THEN 'pending'
              ELSE 'expired' END AS outcome,
         date_part('epoch', expires_at - now()) AS remaining\n"
    };
}

/// One row for each id, also if there is no such grant: `read_only` tells what that means. `OFFSET 0` keeps the planner from
/// a sequential scan for a large group, which it may choose for `= ANY($1)`: the statistics of a table that fills and empties
/// are always stale.
pub(super) const STANDING: Statement = Statement {
    name: "standing",
    sql: concat!(
        "SELECT (SELECT current_setting('transaction_read_only') = 'on') AS read_only, grants.*
         FROM unnest($1) AS asked (id) LEFT JOIN LATERAL (
             SELECT id, date_part('epoch', now() - coalesce(polled_at, opened_at)) AS inactive,",
        standing!(),
        "    FROM device_requests WHERE device_requests.id = asked.id OFFSET 0
         ) AS grants ON true"
    ),
};

/// The same, by a statement that only the primary takes.
const STANDING_ON_PRIMARY: Statement = Statement {
    name: "standing_on_primary",
    sql: concat!(
        "UPDATE device_requests SET polled_at = now() WHERE id = ANY($1) RETURNING id, 0::float8 AS inactive,",
        standing!(),
    ),
};

/// Notes that these terminals still poll: the confirm page warns if one has stopped. Skips locked rows: while it waited for
/// one, it would keep the others locked, and no decision about them could be stored.
const STILL_PENDING: Statement = Statement {
    name: "still_pending",
    sql: concat!(
        "UPDATE device_requests SET polled_at = now()
         WHERE id IN (SELECT id FROM device_requests WHERE id = ANY($1) FOR UPDATE SKIP LOCKED)
         RETURNING id,",
        standing!(),
    ),
};

/// A poll of a client that keeps RFC 8628's interval: reads, and notes the time. Finds nothing if the poll (`$3`) and the
/// opening gave different client ids.
const PACED: Statement = Statement {
    name: "paced",
    sql: concat!(
        "WITH noted AS (
             UPDATE device_requests SET polled_at = now()
             WHERE id = $1 AND status IN ('pending', 'authorizing') AND coalesce(client_id = $3, true)
         )
         SELECT coalesce(now() - polled_at < $2 * interval '1 second', false) AS early,",
        standing!(),
        "FROM device_requests WHERE id = $1 AND coalesce(client_id = $3, true)"
    ),
};

/// The answer to a poll that has to keep an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paced {
    pub standing: Standing,
    /// Whether the poll before, at any replica, was less than the interval ago.
    pub early: bool,
}

#[derive(EnumString)]
#[strum(serialize_all = "snake_case")]
enum Outcome {
    Pending,
    Ready,
    Denied,
    Expired,
}

impl Store {
    /// Joins other callers of the moment in one statement.
    pub async fn standing(&self, id: GrantId) -> Result<Standing, DatabaseError> {
        self.lookups.ask(id, TIMEOUT).await
    }

    /// Notes that the terminals of these grants still poll. Returns those that are pending, with the time until they expire.
    pub async fn still_pending(&self, ids: &[GrantId]) -> Result<Vec<(GrantId, Duration)>, DatabaseError> {
        let rows = self.database.rows(STILL_PENDING, &[(&ids, Type::BYTEA_ARRAY)], TIMEOUT).await?;
        let mut pending = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Standing::Pending { remaining } = standing(row)? {
                pending.push((row.field("id")?, remaining));
            }
        }
        Ok(pending)
    }

    pub async fn paced_standing(
        &self,
        id: GrantId,
        interval: Duration,
        client_id: Option<&ClientId>,
    ) -> Result<Paced, DatabaseError> {
        let (interval, client_id) = (interval.as_secs_f64(), client_id.map(ClientId::as_str));
        let parameters: [Parameter<'_>; 3] = [(&id, Type::BYTEA), (&interval, Type::FLOAT8), (&client_id, Type::TEXT)];
        let rows = self.database.rows(PACED, &parameters, TIMEOUT).await?;
        match rows.first() {
            Some(row) => Ok(Paced { standing: standing(row)?, early: row.field("early")? }),
            None => Ok(Paced { standing: Standing::Unknown, early: false }),
        }
    }
}

pub(super) fn batcher(database: Database, batches: BatchMetrics, runtime: &Handle) -> Batcher<GrantId, Standing> {
    Batcher::start(runtime, move |ids: Vec<GrantId>| {
        batches.sent(STANDING.name, ids.len());
        let database = database.clone();
        async move { look_up(&database, &ids).await }
    })
}

async fn look_up(database: &Database, ids: &[GrantId]) -> Result<Vec<Standing>, DatabaseError> {
    let mut rows = database.rows(STANDING, &[(&ids, Type::BYTEA_ARRAY)], TIMEOUT).await?;
    if rows.first().map_or(Ok(false), |row| row.field("read_only"))? {
        // A standby that lags behind does not know a new grant, and the primary of before may never learn of a decision. The
        // write reaches the primary through a pooler that sends reads to standbys, and discards connections to any other server.
        rows = database.rows(STANDING_ON_PRIMARY, &[(&ids, Type::BYTEA_ARRAY)], TIMEOUT).await?;
    }
    let mut found = HashMap::with_capacity(rows.len());
    let mut unnoted = Vec::new();
    for row in &rows {
        let Some(id) = row.field::<Option<GrantId>>("id")? else { continue };
        let standing = standing(row)?;
        let Seconds(inactive) = row.field("inactive")?;
        if matches!(standing, Standing::Pending { .. }) && inactive > NOTE_AFTER {
            unnoted.push(id);
        }
        found.insert(id, standing);
    }
    if !unnoted.is_empty() {
        // No caller waits for it, and a failure leaves it to the next poll.
        let database = database.clone();
        tokio::spawn(async move { database.rows(STILL_PENDING, &[(&unnoted, Type::BYTEA_ARRAY)], TIMEOUT).await });
    }
    Ok(ids.iter().map(|id| found.get(id).copied().unwrap_or(Standing::Unknown)).collect())
}

fn standing(row: &Row) -> Result<Standing, DatabaseError> {
    Ok(match word(row, "outcome")? {
        Outcome::Pending => Standing::Pending { remaining: row.field::<Seconds>("remaining")?.0 },
        Outcome::Ready => Standing::Ready,
        Outcome::Denied => Standing::Denied,
        Outcome::Expired => Standing::Expired,
    })
}
