//! Brings the settlements of other replicas to the terminals that wait on this one.
//!
//! One statement each 100 ms, and none while nobody waits: its cost does not grow with waiters.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::store::{SettledFeed, Store};
use crate::waiters::Waiters;

/// What a settlement on another replica waits at most until it is known here.
const PERIOD: Duration = Duration::from_millis(100);

/// Runs until `stopping` is cancelled.
pub async fn run(store: Store, waiters: Arc<Waiters>, stopping: CancellationToken) {
    let mut feed = SettledFeed::new(store);
    let endless = async {
        loop {
            if waiters.is_empty() {
                feed.rest();
                waiters.someone().await;
            }
            let begun = Instant::now();
            // Out of reach: nothing is lost, for the next answer covers the time since the last one.
            if let Ok(settled) = feed.next().await {
                for (grant, how) in settled {
                    waiters.wake(grant, how);
                }
                waiters.fed(begun);
            }
            sleep(PERIOD).await;
        }
    };
    tokio::select! {
        () = endless => {}
        () = stopping.cancelled() => {}
    }
}
