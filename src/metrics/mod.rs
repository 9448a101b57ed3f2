//! What is counted and measured, by whoever it happens to; [`crate::exporter`] shows it.
//!
//! Each series is there from the start, with zero: what has never happened can be told from what
//! nobody counts. Labels have values that are known here, and nothing of a person or a secret.

mod counters;
mod exchanges;
mod limits;
mod logins;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub use exchanges::{ExchangeMetrics, ExchangeOutcome};
pub use limits::{Limit, LimitMetrics};
pub use logins::{GrantEvent, GrantMetrics};

/// How many questions one statement asks, by the statement's name.
#[derive(Debug, Clone)]
pub struct BatchMetrics(Family<[(&'static str, &'static str); 1], Histogram>);

impl BatchMetrics {
    /// Powers of two, up to the largest batch.
    const BUCKETS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

    /// For the statements of these names.
    pub fn of(statements: &[&'static str]) -> Self {
        let sizes = Family::new_with_constructor((|| Histogram::new(Self::BUCKETS)) as fn() -> Histogram);
        for statement in statements {
            drop(sizes.get_or_create(&[("statement", *statement)]));
        }
        Self(sizes)
    }

    /// One statement asked so many questions.
    pub fn sent(&self, statement: &'static str, size: usize) {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.0.get_or_create(&[("statement", statement)]).observe(size.into());
    }

    /// Shows it under its name.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("batch_size", "Questions asked in one statement", self.0.clone());
    }
}
