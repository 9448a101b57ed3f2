//! Waiting with a time limit: a test that waits in vain fails, and says for what.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Longer than anything here takes on a slow machine.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// Between two looks at a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What `future` gives.
pub async fn in_time<T>(what: impl Display, future: impl Future<Output = T>) -> T {
    // `what` becomes text only now: it may show a log as it is at the end.
    timeout(TIMEOUT, future).await.unwrap_or_else(|_| panic!("waited {TIMEOUT:?} in vain for {what}"))
}

/// Returns when `condition` holds.
pub async fn eventually<F: Future<Output = bool>>(what: impl Display, mut condition: impl FnMut() -> F) {
    let wait = async {
        while !condition().await {
            sleep(LOOK_AGAIN).await;
        }
    };
    in_time(what, wait).await;
}

/// Looks until there is something to return.
pub async fn eventually_some<T, F: Future<Output = Option<T>>>(what: impl Display, mut look: impl FnMut() -> F) -> T {
    let wait = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(LOOK_AGAIN).await;
        }
    };
    in_time(what, wait).await
}
