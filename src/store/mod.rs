//! All state, in Postgres: one statement for each step of a grant.
//!
//! A statement decides and acts at once, and answers with one word for what it found (`outcome`). Each may be repeated
//! without harm, so a lost connection costs a retry and no grant. What costs only a repetition if a crash of PostgreSQL loses
//! it (notes of polls, deliveries, counters) does not wait for the disk: `synchronous_commit` is off inside that statement.

mod callback;
mod cleanup;
mod codec;
mod decisions;
mod enter;
mod open;
mod poll;
mod revoke;

use std::fmt;
use std::time::Duration;

use crate::config::Config;
use crate::db::Database;

pub use callback::{Claim, Lease, LeaseHolder, Refusal};
pub use cleanup::DeletedBecause;
pub use decisions::Decided;
pub use enter::{Begun, Entered, GrantView};
pub use open::NewGrant;
pub use poll::{Delivered, Delivery};
pub use revoke::Which;

/// For a statement that a person waits for: after this they see a page that tries again.
const PAGE_TIMEOUT: Duration = Duration::from_secs(4);
/// For a statement of a poll: after this it is answered `authorization_pending`, and the terminal polls again.
const POLL_TIMEOUT: Duration = Duration::from_secs(3);

/// The grants. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    database: Database,
    /// `RATE_LIMIT_GUESSES`: wrong codes in a window; 0 sets no limit.
    guess_limit: i32,
    /// `DEVICE_CODE_TTL`
    ttl: Duration,
}

impl Store {
    pub fn new(config: &Config, database: Database) -> Self {
        let guess_limit = i32::try_from(config.rate_limit_guesses).unwrap_or(i32::MAX / 4);
        Self { database, guess_limit, ttl: config.device_code_ttl }
    }

    pub fn database(&self) -> &Database {
        &self.database
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store(..)")
    }
}
