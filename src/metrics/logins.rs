//! Logins by their steps, and how long terminals wait.

use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::metrics::counters::Counters;

/// From Postiz's answer to the terminal's: milliseconds where the poll is held here, a few seconds where
/// the terminal sleeps between polls.
const AFTER_APPROVAL: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0];
/// A person has to find the browser and read two pages.
const AFTER_OPENING: [f64; 9] = [5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0];

/// A step that a login has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantEvent {
    /// A terminal has its codes.
    Opened,
    /// A person confirmed the code and was sent to Postiz; once for each time.
    Confirmed,
    /// Postiz granted a token, and it is stored.
    Approved,
    /// The person said no, here or at Postiz.
    Denied,
    /// The terminal has its token; counted at the first delivery.
    Delivered,
    /// Its time ran out before anybody decided; counted when it is swept away, a minute or so later.
    Expired,
    /// It was approved and its terminal never came for the token; counted as the expired ones are.
    Unclaimed,
    /// The operator ended it; counted as the expired ones are.
    Revoked,
}

impl GrantEvent {
    const ALL: [Self; 8] = [
        Self::Opened,
        Self::Confirmed,
        Self::Approved,
        Self::Denied,
        Self::Delivered,
        Self::Expired,
        Self::Unclaimed,
        Self::Revoked,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Confirmed => "confirmed",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Delivered => "delivered",
            Self::Expired => "expired",
            Self::Unclaimed => "unclaimed",
            Self::Revoked => "revoked",
        }
    }
}

/// What becomes of logins.
#[derive(Debug, Clone)]
pub struct GrantMetrics {
    outcomes: Counters,
    after_approval: Histogram,
    after_opening: Histogram,
}

impl Default for GrantMetrics {
    fn default() -> Self {
        Self {
            outcomes: Counters::new("outcome", GrantEvent::ALL.map(GrantEvent::as_str)),
            after_approval: Histogram::new(AFTER_APPROVAL),
            after_opening: Histogram::new(AFTER_OPENING),
        }
    }
}

impl GrantMetrics {
    /// A login has taken this step.
    pub fn count(&self, outcome: GrantEvent) {
        self.outcomes.count(outcome.as_str());
    }

    /// A terminal has its token for the first time, so long after the approval and after it asked for its codes.
    pub fn delivered(&self, after_approval: Duration, after_opening: Duration) {
        self.count(GrantEvent::Delivered);
        self.after_approval.observe(after_approval.as_secs_f64());
        self.after_opening.observe(after_opening.as_secs_f64());
    }

    /// Shows them under their names.
    pub fn register(&self, registry: &mut Registry) {
        self.outcomes.register(registry, "logins", "Steps that logins have taken");
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
