//! The periodic work of each replica: deletes finished rows, and frees the memory of rate limits.

use std::time::Duration;

use tokio::time::sleep;
use tracing::info;

use crate::db::DatabaseError;
use crate::flow::DeviceFlow;
use crate::grant::GrantId;
use crate::metrics::{GrantEvent, GrantMetrics};
use crate::store::DeletedBecause;

/// Between two cleanups, plus up to [`JITTER`]: the replicas drift apart.
const PERIOD: Duration = Duration::from_secs(20);
const JITTER: Duration = Duration::from_secs(5);
/// Rows in one statement: few enough that it takes milliseconds.
const BATCH: usize = 500;
/// After a full batch, so that it does not delay other statements.
const PAUSE: Duration = Duration::from_millis(50);
const RETRY: Duration = Duration::from_millis(500);
const PRUNE_EVERY: Duration = Duration::from_secs(5);

/// Runs until the server stops.
pub async fn run(flow: &DeviceFlow) {
    let endless = async {
        tokio::join!(delete_forever(flow), prune_forever(flow));
    };
    tokio::select! {
        () = endless => {}
        () = flow.stopping().cancelled() => {}
    }
}

async fn delete_forever(flow: &DeviceFlow) {
    loop {
        flow.store().database().migrated().await;
        match delete_batch(flow).await {
            Ok(rows) if rows >= BATCH => sleep(PAUSE).await,
            Ok(_) => sleep(PERIOD + JITTER.mul_f64(rand::random())).await,
            Err(_) => sleep(RETRY).await,
        }
    }
}

/// One batch of each kind; returns the size of the larger one.
async fn delete_batch(flow: &DeviceFlow) -> Result<usize, DatabaseError> {
    let grants = flow.store().delete_grants(BATCH).await?;
    for (grant, because) in &grants {
        report(flow.metrics(), *grant, *because);
    }
    Ok(flow.store().delete_counters(BATCH).await?.max(grants.len()))
}

fn report(metrics: &GrantMetrics, grant: GrantId, because: DeletedBecause) {
    let grant = grant.reference();
    match because {
        DeletedBecause::Expired => {
            metrics.count(GrantEvent::Expired);
            info!(grant, "grant expired: nobody decided in time");
        }
        DeletedBecause::Undelivered => {
            metrics.count(GrantEvent::Unclaimed);
            info!(grant, "grant expired: its terminal did not fetch the token");
        }
        // The command that revoked it has no metrics and no log.
        DeletedBecause::Revoked => {
            metrics.count(GrantEvent::Revoked);
            info!(grant, "grant was revoked by the operator");
        }
        // Counted and logged when it was decided.
        DeletedBecause::Finished => {}
    }
}

async fn prune_forever(flow: &DeviceFlow) {
    loop {
        sleep(PRUNE_EVERY).await;
        flow.limits().prune();
    }
}
