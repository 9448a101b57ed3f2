//! Limits, and how often each of them was met.

use prometheus_client::registry::Registry;

use crate::metrics::counters::Counters;

/// A limit of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Logins that one client may start.
    Openings,
    /// Wrong user codes that one client may enter.
    Guesses,
    /// Wrong user codes of all clients together: a code had to be typed twice.
    GuessesOfAll,
    /// Unknown device codes that one client may poll with.
    UnknownPolls,
    /// RFC 8628's interval: a poll was told `slow_down`.
    Pace,
    /// Polls that a replica holds at a time: one was answered at once instead.
    HeldPolls,
}

impl Limit {
    const ALL: [Self; 6] =
        [Self::Openings, Self::Guesses, Self::GuessesOfAll, Self::UnknownPolls, Self::Pace, Self::HeldPolls];

    fn as_str(self) -> &'static str {
        match self {
            Self::Openings => "openings",
            Self::Guesses => "guesses",
            Self::GuessesOfAll => "guesses_of_all",
            Self::UnknownPolls => "unknown_polls",
            Self::Pace => "pace",
            Self::HeldPolls => "held_polls",
        }
    }
}

/// How often limits were met.
#[derive(Debug, Clone)]
pub struct LimitMetrics(Counters);

impl Default for LimitMetrics {
    fn default() -> Self {
        Self(Counters::new("limit", Limit::ALL.map(Limit::as_str)))
    }
}

impl LimitMetrics {
    /// Somebody met this limit.
    pub fn count(&self, limit: Limit) {
        self.0.count(limit.as_str());
    }

    /// Shows them under their name.
    pub fn register(&self, registry: &mut Registry) {
        self.0.register(registry, "limits_met", "Requests that met a limit");
    }
}
