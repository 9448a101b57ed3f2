//! Counters told apart by one label whose values are all known.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// A family of counters.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    label: &'static str,
    family: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Counters {
    /// All of them, at zero.
    pub(super) fn new(label: &'static str, values: impl IntoIterator<Item = &'static str>) -> Self {
        let family = Family::<_, Counter>::default();
        for value in values {
            drop(family.get_or_create(&[(label, value)]));
        }
        Self { label, family }
    }

    /// One more.
    pub(super) fn count(&self, value: &'static str) {
        self.family.get_or_create(&[(self.label, value)]).inc();
    }

    /// Shows them under this name, to which the format adds `_total`.
    pub(super) fn register(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        registry.register(name, help, self.family.clone());
    }
}
