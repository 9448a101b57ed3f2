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

    /// The same grants for the requests of a worker with this runtime: their batches run there, and end with it. Workers
    /// without a connection of their own share theirs: several groups would cost as many statements, on the same connections.
    #[must_use]
    pub fn for_worker(&self, runtime: &Handle) -> Self {
        let Some(database) = self.database.for_worker(runtime) else { return self.clone() };
        Self {
            lookups: lookup::batcher(database.clone(), self.batches.clone(), runtime),
            openings: open::batcher(database, self.ttl, self.batches.clone(), runtime),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each group of a worker without a connection of its own would take one of the few that all share.
    #[tokio::test]
    async fn workers_without_a_connection_of_their_own_ask_together() {
        let variables = [
            ("DATABASE_URL", "postgres://auth@localhost/x"),
            ("POSTIZ_OAUTH_CLIENT_ID", "pca_x"),
            ("POSTIZ_OAUTH_CLIENT_SECRET", "x"),
            ("DATABASE_POOL_SIZE", "8"),
        ];
        let config = Config::from_vars(variables.map(|(name, value)| (name.into(), value.into()))).unwrap();
        let runtime = Handle::current();
        let store = Store::new(&config, Database::new(&config, 16, &runtime).unwrap(), &runtime);
        let workers: Vec<Store> = (0..16).map(|_| store.for_worker(&runtime)).collect();
        let together = |one: &Store, other: &Store| {
            assert_eq!(one.lookups.is_same(&other.lookups), one.openings.is_same(&other.openings));
            one.lookups.is_same(&other.lookups)
        };
        let (own, others) = workers.split_at(2);
        assert!(!together(&own[0], &own[1]) && own.iter().all(|worker| !together(worker, &store)));
        assert!(others.iter().all(|worker| together(worker, &store)));
    }
}
