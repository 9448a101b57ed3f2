//! Counters and histograms; [`crate::exporter`] serves them.
//!
//! Each series exists from the start, at zero: an event that never happened differs from one that is not counted. Label
//! values are known in the code and hold nothing of a person or a secret.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use strum::{IntoStaticStr, VariantNames};

/// From the approval to the terminal's token: milliseconds if its poll is held on this replica, a few seconds if it sleeps
/// between polls.
const AFTER_APPROVAL: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0];
/// A person has to find the browser and read two pages.
const AFTER_OPENING: [f64; 9] = [5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0];
/// An exchange is given up after 10 s.
const AT_POSTIZ: [f64; 9] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

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
    /// Its device code did not open its token.
    Unreadable,
}

/// A limit of [`crate::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Limit {
    /// Logins that are opened.
    Openings,
    /// Wrong user codes.
    Guesses,
    /// Confirmations of one login, and of one client.
    Confirmations,
    /// User codes that are viewed or denied.
    Views,
    /// Callbacks.
    Callbacks,
    /// Polls with unknown device codes.
    UnknownPolls,
    /// RFC 8628's interval: a poll was answered `slow_down`.
    Pace,
    /// Held polls of this replica: one was answered at once instead.
    HeldPolls,
    /// Held polls of one client or network: one was answered at once instead.
    NetworkHeldPolls,
    /// Statements at work or in line.
    Statements,
    /// Requests to Postiz at work or in line.
    PostizRequests,
    /// Connections of one direct peer: one was closed.
    Connections,
}

/// Counters with one label, whose values are all known at the start.
#[derive(Debug, Clone)]
pub struct Counters {
    label: &'static str,
    family: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Counters {
    /// One for each variant of `E`.
    pub fn new<E: VariantNames>(label: &'static str) -> Self {
        Self::of(label, E::VARIANTS.iter().copied())
    }

    fn of(label: &'static str, values: impl IntoIterator<Item = &'static str>) -> Self {
        let family = Family::<_, Counter>::default();
        for value in values {
            drop(family.get_or_create(&[(label, value)]));
        }
        Self { label, family }
    }

    pub fn count(&self, value: impl Into<&'static str>) {
        self.family.get_or_create(&[(self.label, value.into())]).inc();
    }

    /// The format adds `_total` to the name.
    pub fn register(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        registry.register(name, help, self.family.clone());
    }
}

#[derive(Debug, Clone)]
pub struct GrantMetrics {
    events: Counters,
    after_approval: Histogram,
    after_opening: Histogram,
}

impl Default for GrantMetrics {
    fn default() -> Self {
        Self {
            events: Counters::new::<GrantEvent>("outcome"),
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

/// Requests to Postiz for a grant: how they end, and how long they take. The labels are words that the caller chooses, all
/// of them known at the start.
#[derive(Debug, Clone)]
pub struct UpstreamMetrics {
    outcomes: Counters,
    duration: Histogram,
}

impl UpstreamMetrics {
    pub fn new(outcomes: impl IntoIterator<Item = &'static str>) -> Self {
        Self { outcomes: Counters::of("outcome", outcomes), duration: Histogram::new(AT_POSTIZ) }
    }

    /// `duration` includes all attempts.
    pub fn ended(&self, outcome: &'static str, duration: Duration) {
        self.outcomes.count(outcome);
        self.duration.observe(duration.as_secs_f64());
    }

    /// As `exchanges` and `exchange`, or `registrations` and `registration`.
    pub fn register(&self, registry: &mut Registry, count: &'static str, duration: &'static str) {
        self.outcomes.register(registry, count, "Requests to Postiz for a login by how they ended");
        let help = "Duration of these requests, with all attempts";
        registry.register_with_unit(duration, help, Unit::Seconds, self.duration.clone());
    }
}
