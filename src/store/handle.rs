//! The grants, for the steps to read and write.

use std::fmt;
use std::time::Duration;

use crate::db::{Batcher, Database};
use crate::grant::{GrantId, RowKey};
use crate::metrics::BatchMetrics;
use crate::store::values::{NewGrant, Standing};

/// The grants. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(super) database: Database,
    /// `None` without a client secret: then rows are neither authenticated nor checked.
    pub(super) row_key: Option<RowKey>,
    pub(super) lookups: Batcher<GrantId, Standing>,
    pub(super) openings: Batcher<NewGrant, bool>,
    /// `RATE_LIMIT_GUESSES`: wrong codes in a window; 0 sets no limit.
    pub(super) guess_limit: u32,
    pub(super) batches: BatchMetrics,
    /// `DEVICE_CODE_TTL`
    pub(super) ttl: Duration,
}

impl Store {
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
