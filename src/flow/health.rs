//! Whether this replica can serve, for load balancers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::db::SchemaState;
use crate::flow::DeviceFlow;

/// Postgres is asked at most once in this time, however many probes arrive.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    Ready,
    Stopping,
    /// It has not answered since the start.
    PostizUnavailable,
    DatabaseUnavailable,
    /// The database belongs to another program; with a sentence for the operator.
    DatabaseForeign(String),
}

impl DeviceFlow {
    /// From now on `/health` answers 503.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// As of at most a second ago. Waits in no client's line.
    pub async fn health(self: &Arc<Self>) -> Health {
        if self.draining.load(Ordering::Relaxed) || self.stopping.is_cancelled() {
            return Health::Stopping;
        }
        if self.postiz.endpoints().is_none() {
            return Health::PostizUnavailable;
        }
        match self.store.database().schema() {
            SchemaState::Current => {}
            SchemaState::Foreign(why) => return Health::DatabaseForeign(why),
            SchemaState::Unknown => return Health::DatabaseUnavailable,
        }
        let flow = Arc::clone(self);
        match self.background(async move { flow.is_writable().await }).await {
            Ok(true) => Health::Ready,
            Ok(false) | Err(_) => Health::DatabaseUnavailable,
        }
    }

    /// Concurrent probes share one statement.
    async fn is_writable(&self) -> bool {
        let mut last = self.writable.lock().await;
        match *last {
            Some((asked_at, answer)) if asked_at.elapsed() < FRESH => answer,
            _ => {
                let answer = self.store.database().is_writable().await;
                *last = Some((Instant::now(), answer));
                answer
            }
        }
    }
}
