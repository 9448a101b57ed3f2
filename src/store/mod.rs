//! All state, in Postgres: one file and one statement for each step of a grant.
//!
//! A statement decides and acts at once, and answers with one word for what it found (`outcome`). Each may be repeated
//! without harm, so a lost connection costs a retry and no grant.

mod approve;
mod claim;
mod cleanup;
mod codec;
mod deliver;
mod deny;
mod enter;
mod feed;
mod lease;
mod lookup;
mod open;
mod release;
mod revoke;

use std::fmt;

use tokio::runtime::Handle;

use crate::config::Config;
use crate::db::{Batcher, Database};
use crate::grant::GrantId;
use crate::metrics::BatchMetrics;

pub use approve::Approval;
pub use claim::Claim;
pub use cleanup::DeletedBecause;
pub use deliver::Delivery;
pub use deny::Denial;
pub use enter::{Entered, GrantView};
pub use feed::DecisionFeed;
pub use lease::{Lease, LeaseHolder};
pub use lookup::{Paced, Standing};
pub use revoke::Which;

use enter::GuessLimit;
use open::NewGrant;

/// The tables that the statements read and write.
pub const TABLES: &[&str] = &["device_requests", "guess_counters", "schema_migrations"];

/// The grants. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    database: Database,
    lookups: Batcher<GrantId, Standing>,
    openings: Batcher<NewGrant, bool>,
    guess_limit: GuessLimit,
    batches: BatchMetrics,
}

impl Store {
    /// Batches run on `runtime`, which must outlive every request.
    pub fn new(config: &Config, database: Database, runtime: &Handle) -> Self {
        let batches = BatchMetrics::of(&[lookup::STANDING.name, open::OPEN.name]);
        Self {
            guess_limit: GuessLimit(config.rate_limit_guesses),
            lookups: lookup::batcher(database.clone(), batches.clone(), runtime),
            openings: open::batcher(database.clone(), config.device_code_ttl, batches.clone(), runtime),
            batches,
            database,
        }
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    pub fn batches(&self) -> &BatchMetrics {
        &self.batches
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store(..)")
    }
}
