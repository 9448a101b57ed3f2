//! Brings the decisions of other replicas to the polls that are held here.
//!
//! One statement every 100 ms, more while a person is at Postiz for a grant whose poll is held here, and none while no
//! terminal polls: its cost does not grow with the number of held polls.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::flow::{DeviceFlow, Origin};
use crate::store::{Change, DecisionFeed};

/// Between two reads, so a decision at another replica is known here after at most this time and one statement.
const PERIOD: Duration = Duration::from_millis(100);
/// While a decision is near.
const SHORT_PERIOD: Duration = Duration::from_millis(15);

impl DeviceFlow {
    /// Reads the decision feed until the server stops.
    pub async fn follow_decisions(&self) {
        self.stopping.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&self) {
        let mut feed = DecisionFeed::new(self.store.clone());
        loop {
            if self.registry.is_empty() {
                feed.restart();
                self.registry.not_empty().await;
            }
            let begun = Instant::now();
            // If the database is unavailable, the next read covers the time since the last one.
            let mut decision_is_near = false;
            if let Ok(changed) = feed.next().await {
                for (grant, change) in changed {
                    match change {
                        Change::Confirmed => self.registry.confirmed(grant, begun),
                        Change::Decided(decision) => drop(self.decided(grant, decision, Origin::OtherReplica)),
                    }
                }
                decision_is_near = self.registry.feed_read(begun);
            }
            sleep(if decision_is_near { SHORT_PERIOD } else { PERIOD }).await;
        }
    }
}
