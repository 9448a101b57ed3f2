//! What the terminals of a crowd have met.

use std::fmt;
use std::ops::{Add, Sub};

#[derive(Debug, Clone, Copy)]
pub enum Count {
    Polls,
    /// Terminals between two polls: the last one was answered "pending".
    Sleeping,
    /// A connection ended instead of an answer.
    Broken,
    /// A connection was not accepted.
    Refused,
    /// An answer was not JSON.
    Unreadable,
    /// Polls answered "pending" within a few seconds.
    NotHeld,
    /// Logins that an error ended: the CLI gives up.
    Failed,
    /// Expired logins that the terminal replaced by new ones.
    Renewed,
    Tokens,
}

const KINDS: usize = Count::Tokens as usize + 1;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([usize; KINDS]);

impl Counts {
    pub fn of(&self, count: Count) -> usize {
        self.0[count as usize]
    }

    pub fn add(&mut self, count: Count) {
        self.0[count as usize] += 1;
    }

    pub fn remove(&mut self, count: Count) {
        self.0[count as usize] -= 1;
    }

    /// Reads what `Display` has written.
    pub fn parse(text: &str) -> Self {
        let mut counts = Self::default();
        for (count, number) in counts.0.iter_mut().zip(text.split(' ')) {
            *count = number.parse().unwrap();
        }
        counts
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.map(|count| count.to_string()).join(" "))
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] + other.0[at]))
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].saturating_sub(earlier.0[at])))
    }
}
