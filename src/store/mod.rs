//! All state, in Postgres: the pool, its address, and one statement for each step of a grant.
//!
//! Every statement decides and acts at once, may be repeated without harm, and uses the unnamed
//! statement only: no session state, so a transaction pooler may stand in between. A step that meets
//! a broken connection is tried again on another one until its patience is over.
//!
//! Postgres is the only clock: times are compared there and nowhere else.

mod approve;
mod batcher;
mod callback;
mod confirm;
mod deliver;
mod error;
mod guesses;
mod inspect;
mod lookup;
mod open;
mod pool;
mod revoke;
mod schema;
mod sweep;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use tracing::{Instrument as _, debug, info, trace_span, warn};

use crate::config::Config;
use crate::grant::{GrantId, Standing};
use crate::metrics::Batches;
use crate::secret::Digest;

pub use approve::Approval;
pub use callback::{Callback, Lease, LeaseHolder};
pub use confirm::{Decision, Login};
pub use deliver::{Delivery, Pickup};
pub use error::StoreError;
pub use guesses::Entered;
pub use inspect::{InspectError, Inspection, inspect};
pub use lookup::{Paced, SettledFeed};
pub use revoke::Which;
pub use sweep::{BATCH as SWEEP_BATCH, Left};
pub use tls::TlsError;

use batcher::Batcher;
use error::AttemptError;
use guesses::GuessLimit;
use open::NewGrant;

/// No single attempt waits longer for Postgres; a connection that says nothing is then given up.
const ATTEMPT: Duration = Duration::from_secs(2);
/// Between two attempts: first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// A statement by its name in logs and metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// The way to Postgres; cheap to clone.
#[derive(Clone)]
pub struct Store {
    link: Arc<Link>,
    lookups: Batcher<GrantId, Option<Standing>>,
    openings: Batcher<NewGrant, bool>,
    guess_limit: GuessLimit,
    batches: Batches,
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

/// The pool and what is known about it.
struct Link {
    pool: Pool,
    reachable: AtomicBool,
    migrated: AtomicBool,
    guessed_at: AtomicBool,
    /// How often all connections were given up.
    departures: AtomicU64,
    /// Told when our tables are found missing.
    schema_missing: Notify,
}

impl Store {
    /// Makes the pool; connects to nothing yet.
    ///
    /// Connections and batches run on `runtime`, which must outlive every request.
    pub fn new(config: &Config, runtime: &Handle) -> Result<Self, TlsError> {
        let link = Arc::new(Link {
            pool: pool::new(config, runtime)?,
            reachable: AtomicBool::new(true),
            migrated: AtomicBool::new(false),
            guessed_at: AtomicBool::new(false),
            departures: AtomicU64::new(0),
            schema_missing: Notify::new(),
        });
        let batches = Batches::of(&[lookup::STANDING.name, open::OPEN.name]);
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
    pub fn batches(&self) -> &Batches {
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

impl Link {
    /// Runs a statement, again and again while that may help, for at most `patience`.
    async fn rows(
        &self,
        statement: Statement,
        parameters: Parameters<'_>,
        patience: Duration,
    ) -> Result<Vec<Row>, StoreError> {
        let deadline = Instant::now() + patience;
        let mut pause = PAUSE.0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let span = trace_span!("statement", statement = statement.name);
            let error = match self.attempt(statement, parameters, left.min(ATTEMPT)).instrument(span).await {
                Ok(rows) => {
                    if !self.reachable.swap(true, Ordering::Relaxed) {
                        info!("the database answers again");
                    }
                    return Ok(rows);
                }
                Err(error) => error,
            };
            if !error.is_transient() {
                warn!(statement = statement.name, error = error.chain(), "the database refused a statement");
                return Err(StoreError::Refused);
            }
            self.note_failure(statement.name, &error);
            if Instant::now() + pause >= deadline {
                return Err(StoreError::Unreachable);
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    async fn attempt(
        &self,
        statement: Statement,
        parameters: Parameters<'_>,
        limit: Duration,
    ) -> Result<Vec<Row>, AttemptError> {
        let deadline = Instant::now() + limit;
        let departures = self.departures.load(Ordering::SeqCst);
        let connection =
            timeout(limit, self.pool.get()).await.map_err(|_| AttemptError::Timeout)?.map_err(AttemptError::Pool)?;
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(left, connection.query_typed(statement.sql, parameters)).await {
            Ok(Ok(rows)) => {
                if self.departures.load(Ordering::SeqCst) != departures {
                    drop(Object::take(connection));
                }
                Ok(rows)
            }
            Ok(Err(error)) => {
                let error = AttemptError::Statement(error);
                if error.is_transient() {
                    drop(Object::take(connection));
                }
                if error.is_read_only() {
                    self.leave();
                }
                if error.is_missing_schema() {
                    self.migrated.store(false, Ordering::Relaxed);
                    self.schema_missing.notify_one();
                }
                Err(error)
            }
            Err(_) => {
                // The next user would wait behind the lost statement; and where one connection went
                // silent, its siblings probably did too.
                drop(Object::take(connection));
                self.leave();
                Err(AttemptError::Timeout)
            }
        }
    }

    /// Gives up every connection, those in use at the end of their statement: their server is not what it was.
    fn leave(&self) {
        self.departures.fetch_add(1, Ordering::SeqCst);
        self.pool.retain(|_, _| false);
    }

    fn note_failure(&self, statement: &'static str, error: &AttemptError) {
        if self.reachable.swap(false, Ordering::Relaxed) {
            warn!(statement, error = error.chain(), "the database is out of reach; trying again");
        } else {
            debug!(statement, error = error.chain(), "the database is still out of reach");
        }
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
