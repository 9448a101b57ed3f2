//! Finds the grant that a browser began last.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::db::{DatabaseError, RowExt as _, Statement};
use crate::grant::{GrantId, State};
use crate::store::Store;

/// After this the person sees a page that tries again.
const TIMEOUT: Duration = Duration::from_secs(4);

const BEGAN: Statement = Statement { name: "began", sql: "SELECT id FROM device_requests WHERE state = $1" };

impl Store {
    /// The grant with this state, in any status; `None` if another browser confirmed its code later.
    pub async fn began(&self, state: &State) -> Result<Option<GrantId>, DatabaseError> {
        let rows = self.database.rows(BEGAN, &[(&state.digest(), Type::BYTEA)], TIMEOUT).await?;
        rows.first().map(|row| row.field("id")).transpose()
    }
}
