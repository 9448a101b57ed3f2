//! What a replica knows of one grant whose terminal polls it.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::flow::budget::{Budget, Place};
use crate::grant::Decision;
use crate::metrics::Limit;

/// Held polls of one grant. A terminal has one; more come only after a reply that was lost.
const MAX_HELD_POLLS_PER_GRANT: usize = 4;
/// How long a look-up counts. If the feed missed a decision, it is found after this time.
const CACHE_TTL: Duration = Duration::from_mins(1);
/// A grant that was found pending this long ago is looked up again, before its next poll would have to.
const REFRESH_AFTER: Duration = Duration::from_secs(45);

/// A poll as it arrives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arriving {
    /// Whether it may be held.
    pub(super) hold: bool,
    /// The shortest time after the poll before, if it has to keep one.
    pub(super) interval: Option<Duration>,
    pub(super) client: Option<IpAddr>,
    pub(super) request_bytes: usize,
}

/// The decision, and a channel that reports the delivery of its token.
pub(super) type Woken = (Decision, mpsc::UnboundedSender<()>);

#[derive(Debug)]
pub(super) struct GrantEntry {
    /// Tells this entry from an earlier one of the same grant.
    pub(super) number: u64,
    /// Polls under way, held ones included.
    pub(super) polls: usize,
    pub(super) held: Vec<(u64, oneshot::Sender<Woken>)>,
    pub(super) pending: Option<Pending>,
    /// When the database last noted a poll that has to keep an interval.
    pub(super) noted_at: Option<Instant>,
    /// Keeps the entry between two polls.
    pub(super) kept_until: Option<Instant>,
}

/// A look-up found the grant pending.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub(super) found_at: Instant,
    pub(super) expires_at: Instant,
}

impl GrantEntry {
    pub(super) fn new(number: u64) -> Self {
        Self { number, polls: 0, held: Vec::new(), pending: None, noted_at: None, kept_until: None }
    }

    pub(super) fn noted_within(&self, interval: Duration, now: Instant) -> bool {
        self.noted_at.is_some_and(|at| now.duration_since(at) < interval)
    }

    pub(super) fn hold(
        &mut self,
        number: u64,
        budget: &mut Budget,
        poll: &Arriving,
    ) -> Result<(Place, oneshot::Receiver<Woken>), Limit> {
        if self.held.len() >= MAX_HELD_POLLS_PER_GRANT {
            return Err(Limit::HeldPolls);
        }
        let place = budget.take(poll.client, poll.request_bytes)?;
        let (sender, decision) = oneshot::channel();
        self.held.push((number, sender));
        Ok((place, decision))
    }
}

impl Pending {
    pub(super) fn is_aged(self, moment: Instant) -> bool {
        moment.duration_since(self.found_at) >= REFRESH_AFTER
    }

    /// The time until the grant expires; `None` if only a look-up can tell.
    pub(super) fn remaining(self, now: Instant) -> Option<Duration> {
        let is_good = now.duration_since(self.found_at) < CACHE_TTL && now < self.expires_at;
        is_good.then(|| self.expires_at.duration_since(now))
    }
}
