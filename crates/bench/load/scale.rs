//! How large and how long the figures are.

use std::time::Duration;

/// The real thing, or a glance that shows within seconds that everything runs.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// How often each comparison is made.
    pub rounds: usize,
    /// How long one load lasts.
    pub slice: Duration,
    /// Logins in one distribution.
    pub logins: usize,
    /// Logins waiting at a time, each with its poll held.
    pub waiting: usize,
    /// How long the quiet with all of them waiting is looked at.
    pub quiet: Duration,
    /// Logins that wait while things break.
    pub in_trouble: usize,
    /// Logins in and out of the table.
    pub churned: usize,
    /// Starts of the server, and runs of the real CLI.
    pub runs: usize,
}

impl Scale {
    pub const FULL: Self = Self {
        rounds: 5,
        slice: Duration::from_secs(3),
        logins: 300,
        waiting: 10_000,
        quiet: Duration::from_secs(75),
        in_trouble: 1_000,
        churned: 10_000_000,
        runs: 9,
    };
    pub const QUICK: Self = Self {
        rounds: 1,
        slice: Duration::from_millis(500),
        logins: 10,
        waiting: 100,
        quiet: Duration::from_secs(1),
        in_trouble: 20,
        churned: 10_000,
        runs: 1,
    };
}
