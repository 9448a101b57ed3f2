//! Requests to Postiz for a grant, exchanges and registrations: how they end, and how long they take.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// An exchange is given up after 10 s.
const BUCKETS: [f64; 9] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Labels are words that the caller chooses, all of them known at the start.
#[derive(Debug, Clone)]
pub struct UpstreamMetrics {
    outcomes: Family<[(&'static str, &'static str); 1], Counter>,
    duration: Histogram,
}

impl UpstreamMetrics {
    /// All of `outcomes` at zero.
    pub fn new(outcomes: impl IntoIterator<Item = &'static str>) -> Self {
        let family = Family::<_, Counter>::default();
        for outcome in outcomes {
            drop(family.get_or_create(&[("outcome", outcome)]));
        }
        Self { outcomes: family, duration: Histogram::new(BUCKETS) }
    }

    /// `duration` includes all attempts.
    pub fn ended(&self, outcome: &'static str, duration: Duration) {
        self.outcomes.get_or_create(&[("outcome", outcome)]).inc();
        self.duration.observe(duration.as_secs_f64());
    }

    pub fn register_exchanges(&self, registry: &mut Registry) {
        registry.register("exchanges", "Exchanges at Postiz by how they ended", self.outcomes.clone());
        registry.register_with_unit(
            "exchange",
            "Duration of exchanges at Postiz",
            Unit::Seconds,
            self.duration.clone(),
        );
    }

    pub fn register_registrations(&self, registry: &mut Registry) {
        registry.register(
            "registrations",
            "Registrations of clients at Postiz by how they ended",
            self.outcomes.clone(),
        );
        registry.register_with_unit(
            "registration",
            "Duration of registrations of clients at Postiz",
            Unit::Seconds,
            self.duration.clone(),
        );
    }
}
