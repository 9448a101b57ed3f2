//! Finds the grant that a browser began last.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::db::{DatabaseError, RowExt as _, Statement};
use crate::grant::{GrantId, State};
use crate::store::Store;

/// After this the person sees a page that tries again.
const TIMEOUT: Duration = Duration::from_secs(4);

/// One row even if there is no such grant: `read_only` tells what that means.
const BEGAN: Statement = Statement {
    name: "began",
    sql: "SELECT server.read_only, grants.id
          FROM (SELECT current_setting('transaction_read_only') = 'on' AS read_only) AS server
          LEFT JOIN device_requests AS grants ON grants.state = $1",
};

impl Store {
    /// The grant with this state, in any status; `None` if another browser confirmed its code later.
    pub async fn began(&self, state: &State) -> Result<Option<GrantId>, DatabaseError> {
        let rows = self.database.rows(BEGAN, &[(&state.digest(), Type::BYTEA)], TIMEOUT).await?;
        let row = rows.first().ok_or(DatabaseError::Refused)?;
        match row.field("id")? {
            // A standby may not have it yet.
            None if row.field("read_only")? => Err(DatabaseError::Unavailable),
            grant => Ok(grant),
        }
    }
}
