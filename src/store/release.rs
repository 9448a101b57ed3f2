//! Gives a lease back after an exchange that failed.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::db::{DatabaseError, Parameter, Statement};
use crate::store::{Lease, Store};

/// After this the lease runs out by itself.
const TIMEOUT: Duration = Duration::from_secs(4);

const RELEASE: Statement = Statement {
    name: "release",
    sql: "UPDATE device_requests
          SET lease_holder = NULL, leased_until = NULL, code_spent = $3,
              postiz_client_id = CASE WHEN $4 THEN NULL ELSE postiz_client_id END
          WHERE id = $1 AND lease_holder = $2",
};

impl Store {
    /// `code_spent` says that Postiz does not accept the code any more.
    pub async fn release(&self, lease: &Lease, code_spent: bool) -> Result<(), DatabaseError> {
        self.give_back(lease, code_spent, false).await
    }

    /// Postiz does not know the client that was registered for this grant, so its code is worthless too.
    pub async fn release_without_client(&self, lease: &Lease) -> Result<(), DatabaseError> {
        self.give_back(lease, true, true).await
    }

    async fn give_back(&self, lease: &Lease, code_spent: bool, client_forgotten: bool) -> Result<(), DatabaseError> {
        let holder = lease.holder.0.as_slice();
        let parameters: [Parameter<'_>; 4] = [
            (&lease.grant, Type::BYTEA),
            (&holder, Type::BYTEA),
            (&code_spent, Type::BOOL),
            (&client_forgotten, Type::BOOL),
        ];
        self.database.rows(RELEASE, &parameters, TIMEOUT).await.map(drop)
    }
}
