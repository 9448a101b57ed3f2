//! The costs that docs/performance.md and docs/scaling.md have measured on one core of a small machine.

/// Seconds of a Postgres core.
pub mod postgres {
    /// Any statement with a name, and its round trip.
    pub const STATEMENT: f64 = 100e-6;
    /// One more login in a look-up.
    pub const ROW_READ: f64 = 3.5e-6;
    /// One more login in an insert.
    pub const ROW_OPENED: f64 = 25e-6;
    /// The page, begin, claim, approve and deliver of one login, together.
    pub const APPROVAL: f64 = 1.3e-3;
    /// One decided login in one answer of the decision feed.
    pub const ROW_FED: f64 = 1.5e-6;
    /// Updating `polled_at` of one row.
    pub const POLL_TIME: f64 = 20e-6;
    pub const ROW_DELETED: f64 = 15e-6;
}

/// Seconds of a replica's core.
pub mod replica {
    /// One poll that the pending cache answers.
    pub const POLL: f64 = 17e-6;
    /// One poll, with its share of a look-up.
    pub const POLL_LOOKED_UP: f64 = 23e-6;
    pub const OPENING: f64 = 62e-6;
    /// Page, confirmation, callback with its exchange, delivery.
    pub const APPROVAL: f64 = 1.0e-3;
    /// One decided login in an answer of the decision feed.
    pub const ROW_FED: f64 = 1.0e-6;
    pub const FEED: f64 = 60e-6;
}

/// Megabytes of a replica.
pub mod memory {
    pub const IDLE: f64 = 11.0;
    pub const HELD: f64 = 0.022;
}
