//! Runs statements: each with a timeout and retries, on a pool whose connections are discarded when their server fails.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::Object;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Row;
use tracing::{Instrument as _, debug, info, trace_span, warn};

use crate::config::Config;
use crate::db::error::{AttemptError, DatabaseError};
use crate::db::fields::RowExt as _;
use crate::db::migrations;
use crate::db::named::Named;
use crate::db::pool::Connector;
use crate::db::pools::{Pools, WorkerPool};
use crate::db::probe::{Pinged, Probe};
use crate::db::repeats::Repeats;
use crate::db::statement::{Parameters, Statement};
use crate::db::tls::TlsError;
use crate::error_chain::error_chain;
use crate::secret::Secret;

/// One attempt of a statement. A connection that does not answer within it is discarded.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// Statements that may wait for each connection of the pool. While more of them wait, work that can be refused is.
const MAX_WAITING: usize = 16;
/// A replica counts as overloaded for this long after it had to refuse work.
const OVERLOAD_LASTS: Duration = Duration::from_secs(10);
/// The delay before the first retry. It doubles up to [`MAX_RETRY_DELAY`].
const RETRY_DELAY: Duration = Duration::from_millis(50);
const MAX_RETRY_DELAY: Duration = Duration::from_millis(500);

const UNAVAILABLE: &str = "database unavailable, retrying";

/// The way to Postgres. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
    /// For statements that end with a worker.
    worker: Option<Arc<WorkerPool>>,
}

struct Inner {
    pools: Pools,
    named: Arc<Named>,
    probe: Probe,
    available: AtomicBool,
    /// When work was refused last.
    overloaded_at: Mutex<Option<Instant>>,
    migrated: watch::Sender<bool>,
    /// Increases each time all connections are discarded.
    generation: AtomicU64,
    logged: Mutex<Repeats>,
}

/// How busy the pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub connections: usize,
    pub idle: usize,
    /// `DATABASE_POOL_SIZE`.
    pub max: usize,
    /// Statements that wait for a connection.
    pub waiting: usize,
    /// Whether the last statement was answered.
    pub available: bool,
}

impl Database {
    /// Connects to nothing yet. Connections live on `runtime`, which must outlive every request, but for those of up to
    /// `workers` workers.
    pub fn new(config: &Config, workers: usize, runtime: &Handle) -> Result<Self, TlsError> {
        let connector = Connector::new(&config.database, runtime)?;
        let named = Arc::new(Named::new());
        let inner = Inner {
            pools: Pools::new(config, workers, connector.clone(), Arc::clone(&named)),
            named,
            probe: Probe::new(connector),
            available: AtomicBool::new(true),
            overloaded_at: Mutex::new(None),
            migrated: watch::Sender::new(false),
            generation: AtomicU64::new(0),
            logged: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner), worker: None })
    }

    /// The same database for statements that end with the worker of this runtime. They use a connection that lives there, or
    /// a shared one while it is in use. `None` if there are more workers than connections for them.
    pub fn for_worker(&self, runtime: &Handle) -> Option<Self> {
        let worker = self.inner.pools.for_worker(runtime)?;
        Some(Self { inner: Arc::clone(&self.inner), worker: Some(worker) })
    }

    /// Runs a statement, with retries while its failures are transient, for at most `limit`.
    pub async fn rows(
        &self,
        statement: Statement,
        parameters: Parameters<'_>,
        limit: Duration,
    ) -> Result<Vec<Row>, DatabaseError> {
        let deadline = Instant::now() + limit;
        let mut delay = RETRY_DELAY;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let span = trace_span!("statement", statement = statement.name);
            let error = match self.attempt(statement, parameters, left.min(ATTEMPT_TIMEOUT)).instrument(span).await {
                Ok(rows) => {
                    self.answered();
                    return Ok(rows);
                }
                Err(error) => error,
            };
            if !error.is_transient() {
                self.log_failure(statement.name, &error, "the database refused a statement");
                return Err(DatabaseError::Refused);
            }
            let failure = self.failed(statement.name, &error);
            if Instant::now() + delay >= deadline {
                return Err(failure);
            }
            sleep(delay).await;
            delay = (delay * 2).min(MAX_RETRY_DELAY);
        }
    }

    async fn attempt(
        &self,
        statement: Statement,
        parameters: Parameters<'_>,
        limit: Duration,
    ) -> Result<Vec<Row>, AttemptError> {
        let deadline = Instant::now() + limit;
        let generation = self.inner.generation.load(Ordering::SeqCst);
        let connection = self.inner.pools.get(self.worker.as_deref(), limit).await.map_err(AttemptError::Pool)?;
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(left, self.inner.named.query(&connection, statement, parameters)).await {
            Ok(Ok(rows)) => {
                if self.inner.generation.load(Ordering::SeqCst) != generation {
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
                    self.discard_connections();
                }
                if error.is_missing_schema() {
                    self.inner.migrated.send_replace(false);
                }
                Err(error)
            }
            Err(_) => {
                // The next user would wait behind the lost statement. When one connection hangs, the others
                // probably do too.
                drop(Object::take(connection));
                self.discard_connections();
                Err(AttemptError::Timeout)
            }
        }
    }

    /// Discards every connection, those in use after their statement: their server failed or became a standby.
    pub fn discard_connections(&self) {
        self.inner.generation.fetch_add(1, Ordering::SeqCst);
        self.inner.pools.discard_idle();
    }

    fn answered(&self) {
        if !self.inner.available.swap(true, Ordering::Relaxed) {
            info!("the database is available again");
            self.inner.logged.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Logs a transient failure by its cause: too many statements, or a database that does not answer.
    fn failed(&self, statement: &'static str, error: &AttemptError) -> DatabaseError {
        if error.is_busy() && self.inner.available.load(Ordering::Relaxed) {
            self.overloaded();
            return DatabaseError::Overloaded;
        }
        self.log_failure(statement, error, UNAVAILABLE);
        DatabaseError::Unavailable
    }

    /// Warns of a failure that is new, and at growing intervals of one that lasts.
    fn log_failure(&self, statement: &'static str, error: &AttemptError, message: &'static str) {
        if error.is_outage() {
            self.inner.available.store(false, Ordering::Relaxed);
        }
        let error = error_chain(error);
        let mut logged = self.inner.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = logged.is_due(&error, Instant::now());
        drop(logged);
        if is_due {
            warn!(statement, error, "{message}");
        } else {
            debug!(statement, error, "{message}");
        }
    }

    fn overloaded(&self) {
        let mut last = self.inner.overloaded_at.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = last.replace(Instant::now()).is_some_and(|last| last.elapsed() < OVERLOAD_LASTS);
        drop(last);
        if !goes_on {
            let waiting = self.inner.pools.shared().status().waiting;
            warn!(waiting, "overloaded: too many statements wait for a database connection");
        }
    }

    /// Whether this replica has had to refuse work within the last seconds.
    pub fn is_overloaded(&self) -> bool {
        let last = self.inner.overloaded_at.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < OVERLOAD_LASTS)
    }

    /// Whether one more statement may wait for a connection; to be asked before work that can be refused.
    pub fn has_room(&self) -> bool {
        let pool = self.inner.pools.shared().status();
        let has_room = pool.waiting < pool.max_size * MAX_WAITING;
        if !has_room {
            self.overloaded();
        }
        has_room
    }

    /// Whether Postgres answers and accepts writes, asked once on a connection of its own.
    ///
    /// A primary that became a standby still reads, but what it reads may never change again: its connections are
    /// discarded. When one connection hangs, the others probably do too.
    pub async fn is_writable(&self) -> bool {
        match self.inner.probe.ping().await {
            Pinged::Writable => true,
            Pinged::ReadOnly | Pinged::Hanging => {
                self.discard_connections();
                false
            }
            Pinged::Unavailable => false,
        }
    }

    /// Whether the schema is known to be current. Sends no statement.
    pub fn is_migrated(&self) -> bool {
        *self.inner.migrated.borrow()
    }

    /// Returns when the schema is current.
    pub async fn migrated(&self) {
        // The sender lives as long as `self`.
        let _ = self.inner.migrated.subscribe().wait_for(|migrated| *migrated).await;
    }

    /// Keeps the schema current: applies what is missing now, and again if the tables disappear. Never returns.
    pub async fn keep_migrated(&self) {
        /// Between two attempts to reach a database that is still starting.
        const RETRY: Duration = Duration::from_millis(500);
        loop {
            while self.migrate().await.is_err() {
                sleep(RETRY).await;
            }
            let _ = self.inner.migrated.subscribe().wait_for(|migrated| !migrated).await;
        }
    }

    /// Brings the schema up to date. Sends nothing if it is known to be.
    pub async fn migrate(&self) -> Result<(), DatabaseError> {
        if self.is_migrated() {
            return Ok(());
        }
        match migrations::apply(self.inner.pools.shared()).await {
            Ok(applied) => {
                for version in applied {
                    info!(version, "migration applied");
                }
                self.inner.migrated.send_replace(true);
                self.answered();
                Ok(())
            }
            Err(error) if error.is_transient() => {
                self.log_failure("migrate", &error, UNAVAILABLE);
                Err(DatabaseError::Unavailable)
            }
            Err(error) => {
                self.log_failure("migrate", &error, "a migration failed, retrying");
                Err(DatabaseError::Refused)
            }
        }
    }

    /// The key by which `check` recognises a server on this database; `None` if it was deleted.
    pub async fn self_check_key(&self) -> Result<Option<Secret>, DatabaseError> {
        const TIMEOUT: Duration = Duration::from_secs(3);
        let statement = Statement { name: "self_check_key", sql: migrations::SELF_CHECK_KEY };
        let rows = self.rows(statement, &[], TIMEOUT).await?;
        let key = rows.first().map(|row| row.field::<&[u8]>("key")).transpose()?;
        Ok(key.and_then(|key| key.try_into().ok()).map(Secret::from_bytes))
    }

    /// How busy the pool is. Sends no statement.
    pub fn load(&self) -> Load {
        let pool = self.inner.pools.status();
        Load {
            connections: pool.size,
            idle: pool.available,
            max: pool.max_size,
            waiting: pool.waiting,
            available: self.inner.available.load(Ordering::Relaxed),
        }
    }

    /// Closes every connection, those in use after their statement.
    pub fn close(&self) {
        self.inner.pools.close();
        self.inner.probe.close();
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database(..)")
    }
}
