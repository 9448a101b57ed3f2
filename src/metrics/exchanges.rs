//! Exchanges at Postiz: how they end, and how long they take.

use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::metrics::counters::Counters;

/// An exchange is given up after 10 s.
const BUCKETS: [f64; 9] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeOutcome {
    /// With a token.
    Granted,
    /// Without a connection.
    Unreachable,
    /// Without an answer in time.
    Slow,
    /// With a failure of Postiz's.
    Failed,
    /// Postiz refused our client id or secret.
    ClientRefused,
    /// Postiz refused the authorization code.
    CodeRefused,
    /// With an answer that holds no token.
    Unreadable,
}

impl ExchangeOutcome {
    const ALL: [Self; 7] = [
        Self::Granted,
        Self::Unreachable,
        Self::Slow,
        Self::Failed,
        Self::ClientRefused,
        Self::CodeRefused,
        Self::Unreadable,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Unreachable => "unreachable",
            Self::Slow => "slow",
            Self::Failed => "failed",
            Self::ClientRefused => "client_refused",
            Self::CodeRefused => "code_refused",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What becomes of exchanges.
#[derive(Debug, Clone)]
pub struct ExchangeMetrics {
    outcomes: Counters,
    taken: Histogram,
}

impl Default for ExchangeMetrics {
    fn default() -> Self {
        let outcomes = Counters::new("outcome", ExchangeOutcome::ALL.map(ExchangeOutcome::as_str));
        Self { outcomes, taken: Histogram::new(BUCKETS) }
    }
}

impl ExchangeMetrics {
    /// One ended, after so long with all its attempts.
    pub fn ended(&self, outcome: ExchangeOutcome, after: Duration) {
        self.outcomes.count(outcome.as_str());
        self.taken.observe(after.as_secs_f64());
    }

    /// Shows them under their names.
    pub fn register(&self, registry: &mut Registry) {
        self.outcomes.register(registry, "exchanges", "Exchanges at Postiz by how they ended");
        registry.register_with_unit("exchange", "How long exchanges at Postiz took", Unit::Seconds, self.taken.clone());
    }
}
