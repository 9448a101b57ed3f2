//! Gives a lease back after an exchange that failed.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::db::{DatabaseError, Statement};
use crate::store::{Lease, Store};

/// After this the lease runs out by itself.
const TIMEOUT: Duration = Duration::from_secs(4);

const RELEASE: Statement = Statement {
    name: "release",
    sql: "UPDATE device_requests
          SET lease_holder = NULL, leased_until = NULL, code_spent = $3
          WHERE id = $1 AND lease_holder = $2",
};

impl Store {
    /// `code_spent` says that Postiz does not accept the code any more.
    pub async fn release(&self, lease: &Lease, code_spent: bool) -> Result<(), DatabaseError> {
        let holder = lease.holder.0.as_slice();
        self.database
            .rows(RELEASE, &[(&lease.grant, Type::BYTEA), (&holder, Type::BYTEA), (&code_spent, Type::BOOL)], TIMEOUT)
            .await
            .map(drop)
    }
}
