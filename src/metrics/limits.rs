//! How often each limit was met.

use prometheus_client::registry::Registry;
use strum::{IntoStaticStr, VariantNames};

use crate::metrics::counters::Counters;

#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Limit {
    /// Logins that one client may open.
    Openings,
    /// Wrong user codes that one client may enter.
    Guesses,
    /// Unknown device codes that one client may poll with.
    UnknownPolls,
    /// Refused authorization codes that one client, or all of them, may bring.
    Exchanges,
    /// RFC 8628's interval: a poll was answered `slow_down`.
    Pace,
    /// Held polls of this replica: one was answered at once instead.
    HeldPolls,
    /// Held polls of one network: one was answered at once instead.
    NetworkHeldPolls,
    /// Statements that one network may have under way: one was refused.
    NetworkStatements,
    /// Statements that may wait for a database connection: one was refused.
    Statements,
    /// Confirmations that ask Postiz about a client: at the same time, and of one network.
    Registrations,
}

#[derive(Debug, Clone)]
pub struct LimitMetrics(Counters<Limit>);

impl Default for LimitMetrics {
    fn default() -> Self {
        Self(Counters::new("limit"))
    }
}

impl LimitMetrics {
    pub fn count(&self, limit: Limit) {
        self.0.count(limit);
    }

    pub fn register(&self, registry: &mut Registry) {
        self.0.register(registry, "limits_met", "Requests that met a limit");
    }
}
