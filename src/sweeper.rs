//! The housekeeping of each replica: the schema at start, the sweep ever after.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::store::{SWEEP_BATCH, Store};

/// Between two sweeps, roughly: the replicas drift apart.
const PERIOD: Duration = Duration::from_secs(20);
/// Between two tries to reach a database that is not there yet.
const RETRY: Duration = Duration::from_millis(500);
/// After a full batch, so that the logins' own statements come first.
const BREATH: Duration = Duration::from_millis(50);

/// Runs until `stopping` is cancelled.
pub async fn run(store: Store, stopping: CancellationToken) {
    let endless = async {
        loop {
            // Also mends a schema that went missing under a running server.
            while store.migrate().await.is_err() {
                sleep(RETRY).await;
            }
            match store.sweep().await {
                Ok(rows) if rows >= SWEEP_BATCH => sleep(BREATH).await,
                Ok(rows) => {
                    debug!(rows, "swept");
                    pause(&store).await;
                }
                Err(_) => sleep(RETRY).await,
            }
        }
    };
    tokio::select! {
        () = endless => {}
        () = stopping.cancelled() => {}
    }
}

/// Until the next sweep, or until the schema is found missing.
async fn pause(store: &Store) {
    let jitter = Duration::from_millis(u64::from(rand::random::<u16>() % 5_000));
    tokio::select! {
        () = sleep(PERIOD + jitter) => {}
        () = store.schema_missing() => {}
    }
}
