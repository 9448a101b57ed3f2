//! Grants by their steps, and how long terminals wait.

use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use strum::{IntoStaticStr, VariantNames};

use crate::metrics::counters::Counters;

/// From the approval to the terminal's token: milliseconds if its poll is held on this replica, a few seconds if it sleeps
/// between polls.
const AFTER_APPROVAL: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0];
/// A person has to find the browser and read two pages.
const AFTER_OPENING: [f64; 9] = [5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0];

/// A step that a grant has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum GrantEvent {
    Opened,
    /// A person confirmed the code and was sent to Postiz. A repetition counts again.
    Confirmed,
    Approved,
    Denied,
    /// The first delivery of its token.
    Delivered,
    /// Counted when it is deleted, about a minute after it expired.
    Expired,
    /// Approved, and its terminal did not fetch the token. Counted when it is deleted.
    Unclaimed,
    /// Counted when it is deleted.
    Revoked,
    /// Its row was changed after the opening, or has no MAC: its code was not exchanged.
    Altered,
    /// Its device code did not open its token.
    Unreadable,
}

#[derive(Debug, Clone)]
pub struct GrantMetrics {
    events: Counters<GrantEvent>,
    after_approval: Histogram,
    after_opening: Histogram,
}

impl Default for GrantMetrics {
    fn default() -> Self {
        Self {
            events: Counters::new("outcome"),
            after_approval: Histogram::new(AFTER_APPROVAL),
            after_opening: Histogram::new(AFTER_OPENING),
        }
    }
}

impl GrantMetrics {
    pub fn count(&self, event: GrantEvent) {
        self.events.count(event);
    }

    /// The first delivery, with the time since the approval and since the opening.
    pub fn delivered(&self, after_approval: Duration, after_opening: Duration) {
        self.count(GrantEvent::Delivered);
        self.after_approval.observe(after_approval.as_secs_f64());
        self.after_opening.observe(after_opening.as_secs_f64());
    }

    pub fn register(&self, registry: &mut Registry) {
        self.events.register(registry, "logins", "Steps that logins have taken");
        registry.register_with_unit(
            "approval_to_delivery",
            "Time from the approval to the terminal's token",
            Unit::Seconds,
            self.after_approval.clone(),
        );
        registry.register_with_unit(
            "opening_to_delivery",
            "Time from the terminal's codes to its token",
            Unit::Seconds,
            self.after_opening.clone(),
        );
    }
}
