//! The size and the duration of the figures.

use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Repetitions of each comparison.
    pub rounds: usize,
    /// Duration of one load.
    pub slice: Duration,
    /// Logins in one distribution of times.
    pub logins: usize,
    /// Held polls at a time.
    pub waiting: usize,
    /// Duration of the measurement with only held polls.
    pub quiet: Duration,
    /// Logins that are pending while PostgreSQL and a replica fail.
    pub failing: usize,
    /// Connections of the network at full force.
    pub flood: usize,
    /// Logins that go through all steps, for the size of the table.
    pub churned: usize,
    /// Duration of the steady load.
    pub soak: Duration,
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
        failing: 1_000,
        flood: 3_000,
        churned: 10_000_000,
        soak: Duration::from_hours(1),
        runs: 9,
    };
    pub const QUICK: Self = Self {
        rounds: 1,
        slice: Duration::from_millis(500),
        logins: 10,
        waiting: 100,
        quiet: Duration::from_secs(1),
        failing: 20,
        flood: 50,
        churned: 10_000,
        soak: Duration::from_secs(9),
        runs: 1,
    };
}
