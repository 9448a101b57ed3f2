//! Counters and histograms; [`crate::exporter`] serves them.
//!
//! Each series exists from the start, at zero: an event that never happened differs from one that is not counted. Label
//! values are known in the code and hold nothing of a person or a secret.

mod counters;
mod grants;
mod limits;
mod upstream;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub use grants::{GrantEvent, GrantMetrics};
pub use limits::{Limit, LimitMetrics};
pub use upstream::UpstreamMetrics;

/// Questions in one statement, by the statement's name.
#[derive(Debug, Clone)]
pub struct BatchMetrics(Family<[(&'static str, &'static str); 1], Histogram>);

impl BatchMetrics {
    /// Powers of two, up to the largest batch.
    const BUCKETS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

    pub fn of(statements: &[&'static str]) -> Self {
        let sizes = Family::new_with_constructor((|| Histogram::new(Self::BUCKETS)) as fn() -> Histogram);
        for statement in statements {
            drop(sizes.get_or_create(&[("statement", *statement)]));
        }
        Self(sizes)
    }

    pub fn sent(&self, statement: &'static str, size: usize) {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.0.get_or_create(&[("statement", statement)]).observe(size.into());
    }

    pub fn register(&self, registry: &mut Registry) {
        registry.register("batch_size", "Questions asked in one statement", self.0.clone());
    }
}
