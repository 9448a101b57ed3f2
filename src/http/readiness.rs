//! Whether this replica can serve.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::db::Database;

/// Postgres is asked at most once in this time, however many probes arrive.
const FRESH: Duration = Duration::from_secs(1);

/// The answer to a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Ready,
    /// It serves, but has had to refuse work within the last seconds.
    Overloaded,
    Stopping,
    DatabaseUnavailable,
}

/// Whether this replica can serve, asked of Postgres at most once a second.
#[derive(Debug)]
pub struct Readiness {
    database: Database,
    stopping: CancellationToken,
    /// The server still serves, and balancers should stop sending requests.
    draining: AtomicBool,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    pub fn new(database: Database, stopping: CancellationToken) -> Self {
        Self { database, stopping, draining: AtomicBool::new(false), last: Mutex::new(None) }
    }

    /// From now on `/health` answers 503.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// As of at most a second ago. Concurrent probes share one statement.
    pub async fn status(&self) -> Status {
        if self.draining.load(Ordering::Relaxed) || self.stopping.is_cancelled() {
            Status::Stopping
        } else if !self.is_writable().await {
            Status::DatabaseUnavailable
        } else if self.database.is_overloaded() {
            Status::Overloaded
        } else {
            Status::Ready
        }
    }

    async fn is_writable(&self) -> bool {
        // Not cached: the first probe after the migrations succeeds.
        if !self.database.is_migrated() {
            return false;
        }
        let mut last = self.last.lock().await;
        match *last {
            Some((asked_at, answer)) if asked_at.elapsed() < FRESH => answer,
            _ => {
                let answer = self.database.is_writable().await;
                *last = Some((Instant::now(), answer));
                answer
            }
        }
    }
}
