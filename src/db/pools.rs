//! The connections for statements: those that all requests share, and one for each worker of the web server.
//!
//! Most connections live on the main runtime, because workers end one by one when the server stops. The statements that a
//! worker's requests share end with it, so they may use a connection that lives there: no other thread has to be woken for
//! them.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use deadpool_postgres::{Object, Pool, PoolError, Status, TimeoutType, Timeouts};
use tokio::runtime::Handle;

use crate::config::Config;
use crate::db::named::Named;
use crate::db::pool::{self, Connector};

/// One in this number of connections at most is a worker's: the statements of single requests need the others.
const ONE_IN: usize = 4;

pub(super) struct Pools {
    shared: Pool,
    workers: Mutex<Vec<Weak<Pool>>>,
    most_workers: usize,
    connector: Connector,
    named: Arc<Named>,
}

/// A worker's connection: a pool of one.
#[derive(Clone)]
pub(super) struct WorkerPool(Arc<Pool>);

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
    pub(super) fn for_worker(&self, runtime: &Handle) -> Option<WorkerPool> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        // A worker that panicked was started again.
        workers.retain(|pool| pool.strong_count() > 0);
        if workers.len() == self.most_workers {
            return None;
        }
        let pool = Arc::new(pool::new(1, self.connector.on(runtime), Arc::clone(&self.named)));
        workers.push(Arc::downgrade(&pool));
        Some(WorkerPool(pool))
    }

    /// The worker's connection if it is free, else a shared one. Waits for half of `limit` for one that is in use.
    pub(super) async fn get(&self, worker: Option<&WorkerPool>, limit: Duration) -> Result<Object, PoolError> {
        // Its own timeout tells a wait for other statements from one for the database.
        let timeouts = Timeouts { wait: Some(limit / 2), create: Some(limit), ..self.shared.timeouts() };
        if let Some(WorkerPool(pool)) = worker {
            match pool.timeout_get(&Timeouts { wait: Some(Duration::ZERO), ..timeouts }).await {
                Err(PoolError::Timeout(TimeoutType::Wait)) => {}
                got => return got,
            }
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
        self.workers().iter().map(|pool| Pool::clone(pool)).chain([self.shared.clone()]).collect()
    }

    fn workers(&self) -> Vec<Arc<Pool>> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().filter_map(Weak::upgrade).collect()
    }
}
