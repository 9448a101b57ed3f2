//! The decision feed: brings the decisions of other replicas to the polls that are held here.
//!
//! One statement every 50 ms, and none while no terminal waits: its cost does not grow with the number of held polls. A
//! transaction may commit later than the time that it wrote, so each read looks back further than to the one before. It may
//! commit later than any timeout, so a few reads look back a minute. What is read again wakes nobody.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use crate::flow::{DeviceFlow, Origin};

/// Between two reads, so a decision at another replica is known here after at most this time and one statement.
const PERIOD: Duration = Duration::from_millis(50);
const OVERLAP: Duration = Duration::from_millis(300);
const LONG_OVERLAP: Duration = Duration::from_mins(1);
const LONG_OVERLAP_EVERY: Duration = Duration::from_secs(5);

impl DeviceFlow {
    /// Never returns.
    pub(super) async fn follow_decisions(&self) {
        let mut read_at: Option<SystemTime> = None;
        let mut long_read_at: Option<Instant> = None;
        loop {
            if self.waiting.is_empty() {
                // A poll that comes later finds earlier decisions by its look-up.
                (read_at, long_read_at) = (None, None);
                self.waiting.not_empty().await;
            }
            let begun = Instant::now();
            let is_long = long_read_at.is_none_or(|at| at.elapsed() >= LONG_OVERLAP_EVERY);
            // If the database is unavailable, the next read covers the time since the last one.
            match self.store.decided(read_at, if is_long { LONG_OVERLAP } else { OVERLAP }).await {
                Ok(decided) => {
                    for (grant, decision) in decided.grants {
                        drop(self.decided(grant, decision, Origin::OtherReplica));
                    }
                    read_at = Some(decided.clock);
                    if is_long {
                        long_read_at = Some(begun);
                    }
                    self.waiting.feed_read(begun);
                }
                // Polls that came meanwhile were held without a look-up. A decision shortly before the failure reaches them too.
                Err(_) => long_read_at = None,
            }
            sleep(PERIOD).await;
        }
    }
}
