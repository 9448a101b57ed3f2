//! Handing the token out.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::grant::{GrantId, SealedToken};
use crate::store::{Statement, Store, StoreError, get};

/// As for a look-up: the terminal polls again.
const PATIENCE: Duration = Duration::from_secs(3);

/// The first delivery starts the minute in which a reply that was lost on its way can be had again.
const DELIVER: Statement = Statement {
    name: "deliver",
    sql: "UPDATE device_requests
          SET status = 'delivered',
              purge_at = CASE status WHEN 'approved' THEN now() + interval '60 seconds' ELSE purge_at END
          WHERE id = $1 AND status IN ('approved', 'delivered') AND purge_at > now()
          RETURNING sealed_token",
};

const IS_DELIVERED: Statement = Statement {
    name: "is_delivered",
    sql: "SELECT status = 'delivered' AS delivered FROM device_requests WHERE id = $1",
};

impl Store {
    /// Whether the terminal has its token; false where the grant is gone, too.
    pub async fn is_delivered(&self, id: GrantId) -> Result<bool, StoreError> {
        let rows = self.link.rows(IS_DELIVERED, &[(&id.as_bytes().as_slice(), Type::BYTEA)], PATIENCE).await?;
        rows.first().map_or(Ok(false), |row| get(row, "delivered"))
    }

    /// Marks the grant delivered and returns its sealed token; `None` where none is ready.
    pub async fn deliver(&self, id: GrantId) -> Result<Option<SealedToken>, StoreError> {
        let rows = self.link.rows(DELIVER, &[(&id.as_bytes().as_slice(), Type::BYTEA)], PATIENCE).await?;
        rows.first().map(|row| get(row, "sealed_token").map(SealedToken::from_bytes)).transpose()
    }
}
