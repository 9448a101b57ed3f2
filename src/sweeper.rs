//! The housekeeping of each replica: the schema at start, then what is due every few seconds.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::grant::GrantId;
use crate::limits::Limits;
use crate::metrics::{GrantEvent, GrantMetrics};
use crate::store::{Left, SWEEP_BATCH, Store, StoreError};

/// Between two sweeps, roughly: the replicas drift apart.
const PERIOD: Duration = Duration::from_secs(20);
/// Between two looks at how many wrong codes came in; also what a burst of them has free.
const WEIGHING: Duration = Duration::from_secs(5);
/// Between two tries to reach a database that is not there yet.
const RETRY: Duration = Duration::from_millis(500);
/// After a full batch, so that the logins' own statements come first.
const BREATH: Duration = Duration::from_millis(50);

/// Runs until `stopping` is cancelled.
pub async fn run(store: Store, limits: Arc<Limits>, logins: GrantMetrics, stopping: CancellationToken) {
    let endless = async {
        tokio::join!(sweep_forever(&store, &logins), weigh_forever(&store, &limits));
    };
    tokio::select! {
        () = endless => {}
        () = stopping.cancelled() => {}
    }
}

async fn sweep_forever(store: &Store, logins: &GrantMetrics) {
    loop {
        // Also mends a schema that went missing under a running server.
        while store.migrate().await.is_err() {
            sleep(RETRY).await;
        }
        match sweep(store, logins).await {
            Ok(rows) if rows >= SWEEP_BATCH => sleep(BREATH).await,
            Ok(_) => pause(store).await,
            Err(_) => sleep(RETRY).await,
        }
    }
}

/// One batch of each; the size of the larger one.
async fn sweep(store: &Store, logins: &GrantMetrics) -> Result<usize, StoreError> {
    let grants = store.sweep().await?;
    for (grant, left) in &grants {
        note(logins, *grant, *left);
    }
    Ok(store.sweep_guesses(SWEEP_BATCH).await?.max(grants.len()))
}

/// Counts and says how a login ended that ended by itself.
fn note(logins: &GrantMetrics, grant: GrantId, left: Left) {
    let grant = grant.reference();
    match left {
        Left::Undecided => {
            logins.count(GrantEvent::Expired);
            info!(grant, "grant expired: nobody decided in time");
        }
        Left::Unclaimed => {
            logins.count(GrantEvent::Unclaimed);
            info!(grant, "grant expired: its terminal never came for the token");
        }
        Left::Revoked => logins.count(GrantEvent::Revoked),
        // Counted and said when it was.
        Left::Decided => {}
    }
}

async fn weigh_forever(store: &Store, limits: &Limits) {
    loop {
        sleep(WEIGHING).await;
        limits.forget_the_quiet();
        if store.is_migrated() {
            // Where it fails, what was known last goes on to hold.
            let _ = store.weigh_guesses().await;
        }
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
