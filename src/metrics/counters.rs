//! Counters with one label, whose values are an enum's variants.

use std::marker::PhantomData;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use strum::VariantNames;

/// `E`'s names are the label's values.
#[derive(Debug, Clone)]
pub(super) struct Counters<E> {
    label: &'static str,
    family: Family<[(&'static str, &'static str); 1], Counter>,
    values: PhantomData<E>,
}

impl<E: VariantNames + Into<&'static str>> Counters<E> {
    /// All of them, at zero: an event that never happened differs from one that is not counted.
    pub(super) fn new(label: &'static str) -> Self {
        let family = Family::<_, Counter>::default();
        for value in E::VARIANTS {
            drop(family.get_or_create(&[(label, *value)]));
        }
        Self { label, family, values: PhantomData }
    }

    pub(super) fn count(&self, value: E) {
        self.family.get_or_create(&[(self.label, value.into())]).inc();
    }

    /// The format adds `_total` to the name.
    pub(super) fn register(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        registry.register(name, help, self.family.clone());
    }
}
