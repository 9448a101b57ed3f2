//! Delivers the token, and tells whether it was delivered.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::db::{DatabaseError, RowExt as _, Seconds, Statement};
use crate::grant::{GrantId, INACTIVE_AFTER, SealedToken, Terminal};
use crate::store::Store;
use crate::store::codec::word;

/// After this the poll is answered `authorization_pending`; the terminal polls again.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The first delivery starts the minute in which a terminal whose reply was lost can ask again. `now()` is constant within
/// a statement, so `purge_at` tells the first delivery.
const DELIVER: Statement = Statement {
    name: "deliver",
    sql: "UPDATE device_requests
          SET status = 'delivered',
              purge_at = CASE status WHEN 'approved' THEN now() + interval '60 seconds' ELSE purge_at END
          WHERE id = $1 AND status IN ('approved', 'delivered') AND purge_at > now()
          RETURNING sealed_token, purge_at = now() + interval '60 seconds' AS first,
                    extract(epoch FROM now() - settled_at)::float8 AS after_approval,
                    extract(epoch FROM now() - opened_at)::float8 AS after_opening",
};

const TERMINAL: Statement = Statement {
    name: "terminal",
    sql: "SELECT CASE
                     WHEN status = 'delivered' THEN 'signed_in'
                     WHEN now() - coalesce(polled_at, opened_at) > make_interval(secs => $2) THEN 'inactive'
                     ELSE 'waiting'
                 END AS outcome
          FROM device_requests WHERE id = $1",
};

#[derive(Debug, Clone)]
pub struct Delivery {
    pub token: SealedToken,
    /// The time since the approval and since the opening; `None` if it was delivered before.
    pub first_after: Option<(Duration, Duration)>,
}

impl Store {
    /// Marks the grant delivered and returns its sealed token; `None` if none is ready.
    pub async fn deliver(&self, id: GrantId) -> Result<Option<Delivery>, DatabaseError> {
        let rows = self.database.rows(DELIVER, &[(&id, Type::BYTEA)], TIMEOUT).await?;
        rows.first().map(delivery).transpose()
    }

    /// What the terminal of an approved grant is doing; `None` if the grant was deleted.
    pub async fn terminal(&self, id: GrantId) -> Result<Option<Terminal>, DatabaseError> {
        let inactive_after = INACTIVE_AFTER.as_secs_f64();
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&id, Type::BYTEA), (&inactive_after, Type::FLOAT8)];
        let rows = self.database.rows(TERMINAL, &parameters, TIMEOUT).await?;
        rows.first().map(|row| word(row, "outcome")).transpose()
    }
}

fn delivery(row: &Row) -> Result<Delivery, DatabaseError> {
    let Seconds(after_approval) = row.field("after_approval")?;
    let Seconds(after_opening) = row.field("after_opening")?;
    let first_after = row.field::<bool>("first")?.then_some((after_approval, after_opening));
    Ok(Delivery { token: row.field("sealed_token")?, first_after })
}
