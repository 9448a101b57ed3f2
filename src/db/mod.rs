//! The way to PostgreSQL: connecting, TLS, the pool, timeouts, retries, the schema; and why a statement failed. Knows no
//! grant.
//!
//! No statement needs session state, so a pooler in transaction mode may stand in between. PostgreSQL is the only clock: SQL
//! compares each time with its `now()`, never with a replica's.
//!
//! A statement waits in line for a connection, first come, first served, and has its own time from then on. What may be over is
//! tried again until the caller's limit. If PostgreSQL fails or becomes a standby, all connections are discarded.
//!
//! PostgreSQL ends a statement before its time is over. One that is given up earlier, or meets a pooler, is cancelled, and keeps
//! its connection until it has ended: otherwise each lock of a few seconds would multiply PostgreSQL's processes. A caller that
//! stops waiting wastes nothing: the connection that is being opened for it goes to the next one.

mod connection;
mod direct;
mod inspect;
mod schema;
mod tls;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{Object, Pool, PoolError, Timeouts};
use deadpool::{Runtime, Status};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use tracing::{debug, info, warn};

use crate::config::Config;
use crate::log::Throttle;
use connection::{AttemptError, Connector, facts};

pub use inspect::{InspectError, Inspection, inspect};
pub use schema::SchemaState;
pub use tls::TlsError;

/// One attempt of a statement, from the moment it has a connection.
const STATEMENT_TIMEOUT: Duration = Duration::from_millis(2500);
/// Of the health check, for each of its two steps.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// The delay before the first retry. It doubles up to [`MAX_RETRY_DELAY`].
const RETRY_DELAY: Duration = Duration::from_millis(50);
const MAX_RETRY_DELAY: Duration = Duration::from_millis(500);

/// A statement with its name in logs and metrics.
#[derive(Debug, Clone, Copy)]
pub struct Statement {
    pub name: &'static str,
    pub sql: &'static str,
}

/// A value with its type: behind a pooler, nothing else tells the type.
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);
pub type Parameters<'a> = &'a [Parameter<'a>];

/// Why a statement brought no rows. It may have been carried out: its answer can be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// PostgreSQL is not reached or does not answer, is a standby now, or the tables are another program's. Other statements fail
    /// as well.
    #[error("the database is unavailable")]
    Unavailable,
    /// Tables or columns are missing: they were dropped, or another database has taken the place.
    #[error("the database has no tables of this server")]
    NoTables,
    /// No connection was free or no answer came before the deadline, or there was a lock, a conflict or a full disk.
    #[error("the database could not carry out a statement")]
    Temporary,
    /// PostgreSQL refused the statement, or answered with a row that this version can't read: a bug.
    #[error("the database refused a statement")]
    Refused,
    /// The row exists already.
    #[error("the row exists already")]
    Duplicate,
}

impl DatabaseError {
    fn may_be_over(self) -> bool {
        match self {
            Self::Unavailable | Self::NoTables | Self::Temporary => true,
            Self::Refused | Self::Duplicate => false,
        }
    }
}

/// The way to PostgreSQL. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    connector: Connector,
    pool: Pool<Connector>,
    /// The health check's own connection: while all of the pool are in use, it tells a busy database from an unavailable one.
    probe: Pool<Connector>,
    available: Arc<AtomicBool>,
    schema: watch::Sender<SchemaState>,
    logged: Arc<Mutex<Throttle>>,
}

impl Database {
    /// Connects to nothing yet.
    pub fn new(config: &Config) -> Result<Self, TlsError> {
        let connector = Connector::new(&config.database)?;
        Ok(Self {
            pool: pool(&connector, config.database_pool_size),
            probe: pool(&connector, 1),
            available: Arc::new(AtomicBool::new(true)),
            schema: watch::Sender::new(SchemaState::Unknown),
            logged: Arc::default(),
            connector,
        })
    }

    /// Runs a statement, with retries while its failures may be over, for at most `limit`.
    pub async fn rows(
        &self,
        statement: Statement,
        parameters: Parameters<'_>,
        limit: Duration,
    ) -> Result<Vec<Row>, DatabaseError> {
        let deadline = Instant::now() + limit;
        let mut delay = RETRY_DELAY;
        if matches!(*self.schema.borrow(), SchemaState::Foreign(_)) {
            // Another program's table must not be written to.
            return Err(DatabaseError::Unavailable);
        }
        loop {
            let error = match self.attempt(statement, parameters, deadline).await {
                Ok(rows) => {
                    self.answered();
                    return Ok(rows);
                }
                Err(error) => self.failed(statement.name, &error),
            };
            if !error.may_be_over() {
                self.answered();
                return Err(error);
            }
            if Instant::now() + delay >= deadline {
                return Err(error);
            }
            sleep(delay).await;
            delay = (delay * 2).min(MAX_RETRY_DELAY);
        }
    }

    async fn attempt(
        &self,
        statement: Statement,
        parameters: Parameters<'_>,
        deadline: Instant,
    ) -> Result<Vec<Row>, AttemptError> {
        let connection = self.connection(&self.pool, deadline).await?;
        let until = deadline.min(Instant::now() + STATEMENT_TIMEOUT);
        let Ok(answer) = timeout_at(until, self.connector.query(&connection.client, statement, parameters)).await
        else {
            tokio::spawn(self.clone().give_up(connection));
            return Err(AttemptError::Late);
        };
        let error = match answer {
            Ok(rows) => return Ok(rows),
            Err(error) => AttemptError::from(error),
        };
        match error.meaning() {
            DatabaseError::Unavailable => self.discard_connections(),
            DatabaseError::NoTables => drop(self.schema.send_replace(SchemaState::Unknown)),
            DatabaseError::Temporary | DatabaseError::Refused | DatabaseError::Duplicate => {}
        }
        Err(error)
    }

    /// Waits in line, until the deadline. A task of its own, because it may have to open a connection.
    async fn connection(&self, pool: &Pool<Connector>, deadline: Instant) -> Result<Object<Connector>, AttemptError> {
        let wait = deadline.saturating_duration_since(Instant::now());
        let (timeouts, from) = (Timeouts { wait: Some(wait), ..Timeouts::new() }, pool.clone());
        let got = tokio::spawn(async move { from.timeout_get(&timeouts).await });
        match timeout_at(deadline, got).await {
            Ok(Ok(Ok(connection))) => Ok(connection),
            Ok(Ok(Err(PoolError::Backend(error)))) => Err(error),
            _ if pool.status().size == pool.status().max_size => Err(AttemptError::Late),
            // One is still being opened.
            _ => Err(no_answer()),
        }
    }

    /// The connection returns to the pool when its statement has ended. If that does not end, the server is gone.
    async fn give_up(self, connection: Object<Connector>) {
        if !connection.end_statement().await {
            self.discard_connections();
        }
    }

    /// Discards every connection, those in use after their statement: their server failed or became a standby.
    pub fn discard_connections(&self) {
        self.connector.discarded_at.send_replace(Instant::now());
        self.pool.retain(|_, _| false);
    }

    fn answered(&self) {
        if !self.available.swap(true, Ordering::Relaxed) {
            info!("the database is available again");
            self.logged.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    fn failed(&self, statement: &'static str, error: &AttemptError) -> DatabaseError {
        let meaning = error.meaning();
        let message = match meaning {
            DatabaseError::Unavailable => {
                self.available.store(false, Ordering::Relaxed);
                "database unavailable, retrying"
            }
            DatabaseError::NoTables | DatabaseError::Temporary => "a statement failed, retrying",
            DatabaseError::Refused => "the database refused a statement",
            DatabaseError::Duplicate => return meaning,
        };
        self.log(statement, &error.to_string(), message);
        meaning
    }

    /// A failure that is new is a warning, one that lasts is one at growing intervals.
    fn log(&self, statement: &'static str, error: &str, message: &'static str) {
        if let Some(repeats) = self.logged.lock().unwrap_or_else(PoisonError::into_inner).due(error, Instant::now()) {
            warn!(statement, error, repeats, "{message}");
        } else {
            debug!(statement, error, "{message}");
        }
    }

    /// Whether PostgreSQL answers and accepts writes, asked once on a connection of its own.
    ///
    /// A primary that became a standby still reads, but what it reads may never change again: its connections are
    /// discarded. When one connection hangs, the others probably do too.
    pub async fn is_writable(&self) -> bool {
        let connected = self.connection(&self.probe, Instant::now() + PROBE_TIMEOUT).await;
        let is_writable = match connected {
            Ok(connection) => matches!(timeout(PROBE_TIMEOUT, facts(&connection.client)).await, Ok(Ok((_, true)))),
            Err(_) => false,
        };
        if is_writable {
            self.answered();
        } else {
            if self.available.swap(false, Ordering::Relaxed) {
                warn!("database unavailable: it does not answer, or accepts no writes");
            }
            self.discard_connections();
        }
        is_writable
    }

    /// Whether PostgreSQL was reached by the last statement or health check, as far as is known.
    pub fn is_available(&self) -> bool {
        self.available.load(Ordering::Relaxed)
    }

    /// What is known of the tables. Sends no statement.
    pub fn schema(&self) -> SchemaState {
        self.schema.borrow().clone()
    }

    /// How busy the pool is. Sends no statement.
    pub fn load(&self) -> Status {
        self.pool.status()
    }

    /// Closes every connection, those in use after their statement.
    pub fn close(&self) {
        self.pool.close();
        self.probe.close();
    }
}

fn no_answer() -> AttemptError {
    AttemptError::NoAnswer("no answer in time".to_owned())
}

#[expect(clippy::expect_used, reason = "only a pool with timeouts and no runtime is refused")]
fn pool(connector: &Connector, size: usize) -> Pool<Connector> {
    Pool::builder(connector.clone()).max_size(size).runtime(Runtime::Tokio1).build().expect("it has a runtime")
}
