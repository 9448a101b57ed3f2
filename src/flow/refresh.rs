//! Keeps the pending cache current while terminals wait, in one statement a second for all of them.
//!
//! Without it, each poll whose entry has become old would look its grant up, in a group of one or two.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::db::{DatabaseError, MAX_BATCH};
use crate::flow::DeviceFlow;
use crate::grant::GrantId;

const PERIOD: Duration = Duration::from_secs(1);

impl DeviceFlow {
    /// Forgets terminals that have stopped, and looks the grants of the others up again, until the server stops.
    pub async fn refresh_pending(&self) {
        let refresh = async {
            loop {
                sleep(PERIOD).await;
                // A grant that could not be looked up is looked up by its next poll.
                let _ = self.refresh(self.registry.tidy(Instant::now())).await;
            }
        };
        self.stopping.run_until_cancelled(refresh).await;
    }

    /// `aged` has the number of each grant's entry.
    async fn refresh(&self, aged: HashMap<GrantId, u64>) -> Result<(), DatabaseError> {
        let grants: Vec<GrantId> = aged.keys().copied().collect();
        for group in grants.chunks(MAX_BATCH) {
            for (grant, remaining) in self.store.still_pending(group).await? {
                if let Some(entry) = aged.get(&grant) {
                    self.registry.found_pending(grant, *entry, remaining, None);
                }
            }
        }
        Ok(())
    }
}
