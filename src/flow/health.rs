//! Whether this replica can serve, for load balancers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::db::SchemaState;
use crate::flow::DeviceFlow;

/// Postgres is asked at most once in this time, however many probes arrive.
const FRESH: Duration = Duration::from_secs(1);

const DATABASE: &str = "database unavailable";

impl DeviceFlow {
    /// From now on `/health` answers 503.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// As of at most a second ago; the error says to an operator why not. Postiz has to answer once after the start. Waits in no
    /// client's line.
    pub async fn health(self: &Arc<Self>) -> Result<(), String> {
        if self.draining.load(Ordering::Relaxed) || self.stopping.is_cancelled() {
            return Err("stopping".to_owned());
        }
        if self.postiz.endpoints().is_none() {
            return Err("Postiz unavailable".to_owned());
        }
        match self.store.database().schema() {
            SchemaState::Current => {}
            SchemaState::Foreign(why) => return Err(why),
            SchemaState::Unknown => return Err(DATABASE.to_owned()),
        }
        let flow = Arc::clone(self);
        match self.background(async move { flow.is_writable().await }).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(DATABASE.to_owned()),
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
