//! The figures, one file for each question.

pub mod cli;
pub mod crowd;
pub mod fairness;
pub mod logins;
pub mod memory;
pub mod times;

use std::time::Duration;

/// The size and the duration of the figures.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Repetitions of each comparison, and the duration of one load.
    pub rounds: usize,
    pub slice: Duration,
    /// Logins in one distribution of times.
    pub logins: usize,
    /// Starts of the server, and runs of the CLI.
    pub runs: usize,
    /// Waiting terminals on one replica, and on six, and for how long.
    pub waiting: usize,
    pub crowd: usize,
    pub quiet: Duration,
    /// A network's delay of the terminals' polls, at most.
    pub scatter: Duration,
    /// Held polls whose memory is measured.
    pub held: usize,
    /// Divides the connections of a flood.
    pub calmer: usize,
}

impl Scale {
    pub const FULL: Self = Self {
        rounds: 5,
        slice: Duration::from_secs(3),
        logins: 200,
        runs: 9,
        waiting: 10_000,
        crowd: 100_000,
        quiet: Duration::from_secs(75),
        scatter: Duration::ZERO,
        held: 1_000,
        calmer: 1,
    };
    pub const QUICK: Self = Self {
        rounds: 1,
        slice: Duration::from_millis(500),
        logins: 10,
        runs: 1,
        waiting: 100,
        crowd: 300,
        quiet: Duration::from_secs(1),
        scatter: Duration::ZERO,
        held: 100,
        calmer: 10,
    };
}
