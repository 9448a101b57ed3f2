//! One poll's place in the registry.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::flow::entry::{Arriving, Woken};
use crate::flow::registry::{Arrival, Registry, Ticket};
use crate::grant::{Decision, GrantId};
use crate::metrics::Limit;

/// A poll under way. Dropping it, as when its client disconnects, frees everything at once.
#[derive(Debug)]
pub(super) struct HeldPoll {
    registry: Arc<Registry>,
    grant: GrantId,
    ticket: Option<Ticket>,
    pending: Option<Duration>,
    early: bool,
    limit: Option<Limit>,
    decision: Option<oneshot::Receiver<Woken>>,
    delivered: Option<mpsc::UnboundedSender<()>>,
    keep: bool,
}

impl HeldPoll {
    /// Enters the poll; do so before its look-up.
    pub(super) fn enter(registry: &Arc<Registry>, grant: GrantId, poll: &Arriving) -> Self {
        let Arrival { ticket, pending, early, decision, limit } = registry.arrive(grant, poll);
        let registry = Arc::clone(registry);
        Self { registry, grant, ticket, pending, early, limit, decision, delivered: None, keep: false }
    }

    pub(super) fn grant(&self) -> GrantId {
        self.grant
    }

    /// The time until the grant expires, if it is known to be pending; otherwise it has to be looked up.
    pub(super) fn pending(&self) -> Option<Duration> {
        self.pending
    }

    /// Whether it is known to have come before its interval was over; otherwise the database tells.
    pub(super) fn is_early(&self) -> bool {
        self.early
    }

    /// The limit that keeps it from being held.
    pub(super) fn limit(&self) -> Option<Limit> {
        self.limit
    }

    /// `noted_at` is the time if the database has noted the poll.
    pub(super) fn found_pending(&self, remaining: Duration, noted_at: Option<Instant>) {
        if let Some(ticket) = self.ticket {
            self.registry.found_pending(self.grant, ticket.entry, remaining, noted_at);
        }
    }

    /// Whether it can wait for the decision.
    pub(super) fn is_held(&self) -> bool {
        self.decision.is_some()
    }

    /// Returns when the grant is decided; never if the poll is not held.
    pub(super) async fn decision(&mut self) -> Decision {
        if let Some(receiver) = &mut self.decision
            && let Ok((decision, delivered)) = receiver.await
        {
            self.delivered = Some(delivered);
            return decision;
        }
        // The sender lives in the entry until it has sent or this poll is dropped.
        std::future::pending().await
    }

    /// Reports to the decision that woke this poll that its token is delivered.
    pub(super) fn has_delivered(&self) {
        if let Some(delivered) = &self.delivered {
            let _ = delivered.send(());
        }
    }

    /// The terminal will poll again: its grant stays in the pending cache.
    pub(super) fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for HeldPoll {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.registry.leave(self.grant, ticket, self.keep);
        }
    }
}
