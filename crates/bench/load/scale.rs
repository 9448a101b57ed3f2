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
    /// Logins that wait on one replica, and on several.
    pub crowd_on_one: usize,
    pub crowd: usize,
    /// Duration of the measurement with only those.
    pub crowd_quiet: Duration,
    /// Of those on several replicas, approved during the failures.
    pub crowd_approved: usize,
    /// Held polls of a replica that is killed.
    pub herd: usize,
    /// How long look-ups are counted before its end, and after it.
    pub herd_watched: Duration,
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
        crowd_on_one: 18_000,
        crowd: 100_000,
        crowd_quiet: Duration::from_mins(1),
        crowd_approved: 3_000,
        herd: 17_000,
        herd_watched: Duration::from_mins(1),
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
        crowd_on_one: 100,
        crowd: 300,
        crowd_quiet: Duration::from_secs(1),
        crowd_approved: 20,
        herd: 100,
        herd_watched: Duration::from_secs(2),
        runs: 1,
    };
}
