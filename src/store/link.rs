//! One statement and its retries: the pool, and what is known of the server behind it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use tracing::{Instrument as _, debug, info, trace_span, warn};

use crate::store::StoreError;
use crate::store::error::AttemptError;

/// No single attempt waits longer for Postgres; a connection that says nothing is then given up.
pub(super) const ATTEMPT: Duration = Duration::from_secs(2);
/// Between two attempts: first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// A statement by its name in logs and metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

pub(super) type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// The pool and what is known about it.
pub(super) struct Link {
    pub(super) pool: Pool,
    pub(super) reachable: AtomicBool,
    pub(super) migrated: AtomicBool,
    pub(super) guessed_at: AtomicBool,
    /// How often all connections were given up.
    departures: AtomicU64,
    /// Told when our tables are found missing.
    pub(super) schema_missing: Notify,
}

impl Link {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            reachable: AtomicBool::new(true),
            migrated: AtomicBool::new(false),
            guessed_at: AtomicBool::new(false),
            departures: AtomicU64::new(0),
            schema_missing: Notify::new(),
        }
    }

    /// Runs a statement, again and again while that may help, for at most `patience`.
    pub(super) async fn rows(
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

    pub(super) async fn attempt(
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
    pub(super) fn leave(&self) {
        self.departures.fetch_add(1, Ordering::SeqCst);
        self.pool.retain(|_, _| false);
    }

    pub(super) fn note_failure(&self, statement: &'static str, error: &AttemptError) {
        if self.reachable.swap(false, Ordering::Relaxed) {
            warn!(statement, error = error.chain(), "the database is out of reach; trying again");
        } else {
            debug!(statement, error = error.chain(), "the database is still out of reach");
        }
    }
}
