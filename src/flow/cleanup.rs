//! The periodic work of each replica: deletes finished rows, and frees the memory of limits.
//!
//! An idle replica sends nothing, so that a database that is suspended when idle can be suspended. Rows of a replica that died are
//! deleted by any other that is not idle.

use std::time::Duration;

use tokio::time::sleep;
use tracing::info;

use crate::db::DatabaseError;
use crate::flow::DeviceFlow;
use crate::grant::GrantId;
use crate::metrics::GrantEvent;
use crate::store::DeletedBecause;

/// Between two cleanups, plus up to [`JITTER`]: the replicas drift apart.
const PERIOD: Duration = Duration::from_secs(25);
const JITTER: Duration = Duration::from_secs(10);
/// After the last opening, the rows of its time are due: the longest window of wrong codes, the longest lease and a minute.
const ACTIVE_FOR: Duration = Duration::from_mins(18);
/// Rows in one statement: few enough that it takes milliseconds.
const BATCH: usize = 500;
/// After a full batch, so that it does not delay other statements.
const PAUSE: Duration = Duration::from_millis(50);
const RETRY: Duration = Duration::from_millis(500);
const PRUNE_EVERY: Duration = Duration::from_secs(5);

impl DeviceFlow {
    /// Never returns.
    pub(super) async fn clean_up(&self) {
        tokio::join!(self.delete_rows(), async {
            loop {
                sleep(PRUNE_EVERY).await;
                self.limits.prune();
            }
        });
    }

    async fn delete_rows(&self) {
        let mut last_opened = self.last_opened.subscribe();
        loop {
            self.store.database().migrated().await;
            let pause = match self.delete_batch().await {
                Ok(rows) if rows >= BATCH => PAUSE,
                Ok(_) => PERIOD + JITTER.mul_f64(rand::random()),
                Err(_) => RETRY,
            };
            // The sender lives as long as `self`.
            let _ = last_opened.wait_for(|at| at.elapsed() < self.device_code_ttl + ACTIVE_FOR).await;
            sleep(pause).await;
        }
    }

    /// One batch of each kind; returns the size of the larger one.
    async fn delete_batch(&self) -> Result<usize, DatabaseError> {
        let most = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let grants = self.store.delete_grants(most).await?;
        for (grant, because) in &grants {
            self.report_deleted(*grant, *because);
        }
        Ok(self.store.delete_counters(most).await?.max(grants.len()))
    }

    fn report_deleted(&self, grant: GrantId, because: DeletedBecause) {
        let grant = grant.reference();
        match because {
            DeletedBecause::Expired => {
                self.metrics.count(GrantEvent::Expired);
                info!(grant, "grant expired: nobody decided in time");
            }
            DeletedBecause::Undelivered => {
                self.metrics.count(GrantEvent::Unclaimed);
                info!(grant, "grant expired: its terminal did not fetch the token");
            }
            // The command that revoked it has no metrics and no log.
            DeletedBecause::Revoked => {
                self.metrics.count(GrantEvent::Revoked);
                info!(grant, "grant was revoked by the operator");
            }
            // Counted and logged when it was decided.
            DeletedBecause::Finished => {}
        }
    }
}
