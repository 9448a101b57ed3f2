//! One poll's place among those who wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{Settlement, Undecided, Waiters};
use crate::grant::{Decision, GrantId};

/// A poll under way; dropping it, as when its client goes away, frees everything at once.
#[derive(Debug)]
pub struct Poll {
    waiters: Arc<Waiters>,
    grant: GrantId,
    /// The login's entry and this poll's own number; `None` where there was no room for it.
    pub(super) entered: Option<(u64, u64)>,
    pub(super) undecided: Option<Duration>,
    pub(super) settled: Option<oneshot::Receiver<Settlement>>,
    delivered: Option<mpsc::UnboundedSender<()>>,
    comes_again: bool,
}

impl Poll {
    pub(super) fn new(waiters: Arc<Waiters>, grant: GrantId) -> Self {
        Self { waiters, grant, entered: None, undecided: None, settled: None, delivered: None, comes_again: false }
    }

    /// The login that it is about.
    pub fn grant(&self) -> GrantId {
        self.grant
    }

    /// Time until the grant expires, where it is known to be undecided; else it has to be looked up.
    pub fn undecided(&self) -> Option<Duration> {
        self.undecided
    }

    /// Says what the look-up has found.
    pub fn found_undecided(&self, remaining: Duration) {
        if let Some((login, _)) = self.entered {
            let now = Instant::now();
            self.waiters.found_undecided(self.grant, login, Undecided { found_at: now, expires_at: now + remaining });
        }
    }

    /// Whether it can wait for the settlement.
    pub fn is_held(&self) -> bool {
        self.settled.is_some()
    }

    /// Returns when the grant is settled; never for a poll that is not held.
    pub async fn settled(&mut self) -> Decision {
        if let Some(settled) = &mut self.settled
            && let Ok((how, delivered)) = settled.await
        {
            self.delivered = Some(delivered);
            return how;
        }
        // The sender lives in the entry until it has sent or this poll is dropped.
        std::future::pending().await
    }

    /// Tells who woke this poll that it has brought the token.
    pub fn has_delivered(&self) {
        if let Some(delivered) = &self.delivered {
            let _ = delivered.send(());
        }
    }

    /// Its terminal is told to go on: the login stays known for the next poll.
    pub fn comes_again(mut self) {
        self.comes_again = true;
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        if let Some((login, ticket)) = self.entered {
            self.waiters.leave(self.grant, login, ticket, self.comes_again);
        }
    }
}

/// The polls that a settlement has woken on this replica.
#[derive(Debug)]
pub struct WokenPolls {
    delivered: mpsc::UnboundedReceiver<()>,
}

impl WokenPolls {
    pub(super) fn new() -> (mpsc::UnboundedSender<()>, Self) {
        let (sender, delivered) = mpsc::unbounded_channel();
        (sender, Self { delivered })
    }

    /// Returns when one of them has brought the token; false where none did, or none waited here.
    pub async fn delivered(&mut self) -> bool {
        self.delivered.recv().await.is_some()
    }
}
