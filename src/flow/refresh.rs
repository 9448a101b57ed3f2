//! Keeps the pending cache current while terminals wait, in one statement a second for all of them.
//!
//! Without it, each poll whose entry has become old would look its grant up, in a group of one or two.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::db::DatabaseError;
use crate::flow::DeviceFlow;
use crate::flow::registry::Aged;
use crate::grant::GrantId;

const EVERY: Duration = Duration::from_secs(1);
/// Grants in one statement.
const MAX_GROUP: usize = 512;

impl DeviceFlow {
    /// Forgets terminals that have stopped, and looks the grants of the others up again, until the server stops.
    pub async fn refresh_pending(&self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let refresh = async {
            loop {
                ticks.tick().await;
                // A grant that could not be looked up is looked up by its next poll.
                let _ = self.refresh(&self.registry.tidy(Instant::now())).await;
            }
        };
        tokio::select! {
            () = refresh => {}
            () = self.stopping.cancelled() => {}
        }
    }

    async fn refresh(&self, aged: &[Aged]) -> Result<(), DatabaseError> {
        for group in aged.chunks(MAX_GROUP) {
            let entries: HashMap<GrantId, u64> = group.iter().map(|aged| (aged.grant, aged.entry)).collect();
            let grants: Vec<GrantId> = group.iter().map(|aged| aged.grant).collect();
            for (grant, remaining) in self.store.still_pending(&grants).await? {
                if let Some(entry) = entries.get(&grant) {
                    self.registry.found_pending(grant, *entry, remaining, None);
                }
            }
        }
        Ok(())
    }
}
