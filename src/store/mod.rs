//! All state, in Postgres: the pool, its address, and one statement for each step of a grant.
//!
//! Every statement decides and acts at once, may be repeated without harm, and uses the unnamed
//! statement only: no session state, so a transaction pooler may stand in between. A step that meets
//! a broken connection is tried again on another one until its patience is over.
//!
//! Postgres is the only clock: every time is compared with its `now()`, never with a replica's.

mod approve;
mod batcher;
mod callback;
mod confirm;
mod deliver;
mod error;
mod guesses;
mod inspect;
mod link;
mod lookup;
mod open;
mod pool;
mod revoke;
mod schema;
mod sweep;
mod tls;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Handle;
use tokio_postgres::Row;
use tracing::warn;

use crate::config::Config;
use crate::grant::{GrantId, Standing};
use crate::metrics::BatchMetrics;
use crate::secret::Digest;

pub use approve::Approval;
pub use callback::{Callback, Lease, LeaseHolder};
pub use confirm::{Login, StepOutcome};
pub use deliver::{Delivery, Pickup};
pub use error::StoreError;
pub use guesses::Entered;
pub use inspect::{InspectError, Inspection, inspect};
pub use lookup::{Paced, SettledFeed};
pub use revoke::Which;
pub use sweep::{BATCH as SWEEP_BATCH, Left};
pub use tls::TlsError;

use batcher::Batcher;
use guesses::GuessLimit;
use link::{ATTEMPT, Link, Statement};
use open::NewGrant;

/// The way to Postgres; cheap to clone.
#[derive(Clone)]
pub struct Store {
    link: Arc<Link>,
    lookups: Batcher<GrantId, Option<Standing>>,
    openings: Batcher<NewGrant, bool>,
    guess_limit: GuessLimit,
    batches: BatchMetrics,
}

/// How busy the way to Postgres is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Connections that are open.
    pub connections: usize,
    /// Those of them that nobody uses.
    pub idle: usize,
    /// Connections that may be open at a time.
    pub most: usize,
    /// Statements that wait for a connection.
    pub waiting: usize,
    /// Whether the last statement was answered.
    pub reachable: bool,
}

impl Store {
    /// Makes the pool; connects to nothing yet.
    ///
    /// Connections and batches run on `runtime`, which must outlive every request.
    pub fn new(config: &Config, runtime: &Handle) -> Result<Self, TlsError> {
        let link = Arc::new(Link::new(pool::new(config, runtime)?));
        let batches = BatchMetrics::of(&[lookup::STANDING.name, open::OPEN.name]);
        Ok(Self {
            guess_limit: GuessLimit(config.rate_limit_guesses),
            lookups: lookup::batcher(Arc::clone(&link), batches.clone(), runtime),
            openings: open::batcher(Arc::clone(&link), config.device_code_ttl, batches.clone(), runtime),
            batches,
            link,
        })
    }

    /// Whether the schema is known to be there; asks nobody.
    pub fn is_migrated(&self) -> bool {
        self.link.migrated.load(Ordering::Relaxed)
    }

    /// Whether Postgres answers and takes what is written; asks it.
    ///
    /// A primary that has become a standby still reads. Its connections are given up: what it reads
    /// may never change again.
    pub async fn is_reachable(&self) -> bool {
        const PING: Statement =
            Statement { name: "ping", sql: "SELECT current_setting('transaction_read_only') = 'off' AS writes" };
        let Ok(rows) = self.link.attempt(PING, &[], ATTEMPT).await else { return false };
        let writes = rows.first().is_some_and(|row| get(row, "writes").unwrap_or(false));
        if !writes {
            self.link.leave();
        }
        writes
    }

    /// How many questions go into one statement.
    pub fn batches(&self) -> &BatchMetrics {
        &self.batches
    }

    /// How busy the way to Postgres is; asks nobody.
    pub fn load(&self) -> Load {
        let pool = self.link.pool.status();
        Load {
            connections: pool.size,
            idle: pool.available,
            most: pool.max_size,
            waiting: pool.waiting,
            reachable: self.link.reachable.load(Ordering::Relaxed),
        }
    }

    /// Returns when our tables are found missing under the running server.
    pub async fn schema_missing(&self) {
        self.link.schema_missing.notified().await;
    }

    /// Closes every connection; what is under way ends first.
    pub fn close(&self) {
        self.link.pool.close();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store(..)")
    }
}

/// A value of a row, or the admission that the row is not what the statement promised.
fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, column: &str) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| {
        warn!(column, %error, "the database answered with an unexpected row");
        StoreError::Refused
    })
}

/// A 32-byte value of a row.
fn get_bytes<const N: usize>(row: &Row, column: &str) -> Result<[u8; N], StoreError> {
    get::<&[u8]>(row, column)?.try_into().map_err(|_| StoreError::Refused)
}

/// A digest as a parameter.
fn bytes(digest: &Digest) -> &[u8] {
    digest.as_bytes()
}
