//! All state, in Postgres: one file and one statement for each step of a grant.
//!
//! A statement decides and acts at once, and answers with one word for what it found (`outcome`). Each may be repeated
//! without harm, so a lost connection costs a retry and no grant.

mod abandon;
mod approve;
mod began;
mod claim;
mod cleanup;
mod codec;
mod deliver;
mod deny;
mod enter;
mod feed;
mod handle;
mod lookup;
mod open;
mod release;
mod revoke;
mod values;

use tokio::runtime::Handle;

use crate::config::Config;
use crate::db::Database;
use crate::grant::RowKey;
use crate::metrics::BatchMetrics;

pub use abandon::Abandonment;
pub use approve::Approval;
pub use claim::Claim;
pub use cleanup::DeletedBecause;
pub use deliver::Delivery;
pub use deny::Denial;
pub use enter::{Begun, Entered, GrantView};
pub use feed::{Change, DecisionFeed};
pub use handle::Store;
pub use lookup::Paced;
pub use revoke::Which;
pub use values::{Lease, LeaseHolder, Standing};

/// The tables that the statements read and write.
pub const TABLES: &[&str] = &["device_requests", "guess_counters", "schema_migrations", "server_keys"];

impl Store {
    /// Batches run on `runtime`, which must outlive every request.
    pub fn new(config: &Config, database: Database, runtime: &Handle) -> Self {
        let ttl = config.device_code_ttl;
        let batches = BatchMetrics::of(&[lookup::STANDING.name, open::OPEN.name]);
        Self {
            row_key: config.client_secret.as_ref().map(RowKey::of),
            guess_limit: config.rate_limit_guesses,
            lookups: lookup::batcher(database.clone(), batches.clone(), runtime),
            openings: open::batcher(database.clone(), ttl, batches.clone(), runtime),
            ttl,
            batches,
            database,
        }
    }

    /// The same grants for the requests of a worker with this runtime: their batches run there, and end with it.
    #[must_use]
    pub fn for_worker(&self, runtime: &Handle) -> Self {
        let database = self.database.for_worker(runtime);
        Self {
            lookups: lookup::batcher(database.clone(), self.batches.clone(), runtime),
            openings: open::batcher(database, self.ttl, self.batches.clone(), runtime),
            ..self.clone()
        }
    }
}
