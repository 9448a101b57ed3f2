//! The connections for statements: those that all requests share, and one for each worker of the web server.
//!
//! Most connections live on the main runtime, because workers end one by one when the server stops. The statements that a
//! worker's requests share end with it, so they may use a connection that lives there: no other thread has to be woken for
//! them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use deadpool_postgres::{Object, Pool, PoolError, Status, TimeoutType, Timeouts};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::config::Config;
use crate::db::batcher::MAX_CONCURRENT;
use crate::db::named::Named;
use crate::db::pool::{self, Connector};

/// One in this number of connections at most is a worker's: the statements of single requests need the others.
const ONE_IN: usize = 4;
/// Look-ups and openings.
const KINDS_OF_BATCHES: usize = 2;
/// While the database is slow, the workers' batches together want no more connections than there are.
const _: () = assert!(KINDS_OF_BATCHES * MAX_CONCURRENT <= ONE_IN, "single requests would wait behind batches");
/// A worker to which PostgreSQL gave no connection asks for one again after this time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Pools {
    shared: Pool,
    workers: Mutex<Vec<Weak<WorkerPool>>>,
    most_workers: usize,
    connector: Connector,
    named: Arc<Named>,
}

/// A worker's connection: a pool of one.
pub(super) struct WorkerPool {
    pool: Pool,
    /// When PostgreSQL last gave it no connection.
    refused_at: Mutex<Option<Instant>>,
}

impl Pools {
    /// Together at most `DATABASE_POOL_SIZE` connections.
    pub(super) fn new(config: &Config, workers: usize, connector: Connector, named: Arc<Named>) -> Self {
        let most_workers = workers.min(config.database_pool_size / ONE_IN);
        let shared = pool::new(config.database_pool_size - most_workers, connector.clone(), Arc::clone(&named));
        Self { shared, workers: Mutex::default(), most_workers, connector, named }
    }

    pub(super) fn shared(&self) -> &Pool {
        &self.shared
    }

    /// For the worker with this runtime; `None` if there are more workers than connections for them.
    pub(super) fn for_worker(&self, runtime: &Handle) -> Option<Arc<WorkerPool>> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        // A worker that panicked was started again.
        workers.retain(|pool| pool.strong_count() > 0);
        if workers.len() == self.most_workers {
            return None;
        }
        let pool = pool::new(1, self.connector.on(runtime), Arc::clone(&self.named));
        let worker = Arc::new(WorkerPool { pool, refused_at: Mutex::default() });
        workers.push(Arc::downgrade(&worker));
        Some(worker)
    }

    /// The worker's connection if it is free, else a shared one. Waits for half of `limit` for one that is in use.
    pub(super) async fn get(&self, worker: Option<&WorkerPool>, limit: Duration) -> Result<Object, PoolError> {
        // Its own timeout tells a wait for other statements from one for the database.
        let timeouts = Timeouts { wait: Some(limit / 2), create: Some(limit), ..self.shared.timeouts() };
        if let Some(worker) = worker
            && let Some(connection) = worker.get(timeouts).await
        {
            return Ok(connection);
        }
        self.shared.timeout_get(&timeouts).await
    }

    /// Discards the connections that are not in use.
    pub(super) fn discard_idle(&self) {
        for pool in self.all() {
            pool.retain(|_, _| false);
        }
    }

    /// Closes every connection, those in use after their statement.
    pub(super) fn close(&self) {
        for pool in self.all() {
            pool.close();
        }
    }

    /// All of them. Only shared connections are waited for.
    pub(super) fn status(&self) -> Status {
        let mut sum = self.shared.status();
        sum.max_size += self.most_workers;
        for worker in self.workers() {
            let worker = worker.status();
            sum.size += worker.size;
            sum.available += worker.available;
        }
        sum
    }

    fn all(&self) -> Vec<Pool> {
        self.workers().into_iter().chain([self.shared.clone()]).collect()
    }

    fn workers(&self) -> Vec<Pool> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().filter_map(Weak::upgrade).map(|worker| worker.pool.clone()).collect()
    }
}

impl WorkerPool {
    /// `None` if it is in use, or can't be opened: PostgreSQL may have none left, while shared ones are idle.
    async fn get(&self, timeouts: Timeouts) -> Option<Object> {
        let refused_at = *self.refused_at();
        if refused_at.is_some_and(|at| at.elapsed() < RETRY_AFTER) {
            return None;
        }
        let timeouts = Timeouts { wait: Some(Duration::ZERO), create: timeouts.wait, ..timeouts };
        match self.pool.timeout_get(&timeouts).await {
            Ok(connection) => Some(connection),
            Err(PoolError::Timeout(TimeoutType::Wait)) => None,
            Err(_) => {
                *self.refused_at() = Some(Instant::now());
                None
            }
        }
    }

    fn refused_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.refused_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
