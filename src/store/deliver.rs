//! Handing the token out.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::grant::{GrantId, SealedToken};
use crate::store::confirm::seconds;
use crate::store::{Statement, Store, StoreError, get};

/// As for a look-up: the terminal polls again.
const PATIENCE: Duration = Duration::from_secs(3);

/// The first delivery starts the minute in which a reply that was lost on its way can be had again;
/// `first` tells it by the minute's beginning, for `now()` is the same all through a statement.
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

const PICKUP: Statement = Statement {
    name: "pickup",
    sql: "SELECT status = 'delivered' AS delivered,
                 extract(epoch FROM now() - coalesce(polled_at, opened_at))::float8 AS silence
          FROM device_requests WHERE id = $1",
};

/// How far a terminal is with its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pickup {
    /// It has it.
    pub delivered: bool,
    /// How long it had not been heard of, give or take a minute.
    pub silence: Duration,
}

/// A token on its way to its terminal.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The token.
    pub token: SealedToken,
    /// How long ago the login was approved, and how long ago it was opened; none where it was delivered before.
    pub first_after: Option<(Duration, Duration)>,
}

impl Store {
    /// How far the terminal is with its token; `None` where the grant is gone.
    pub async fn pickup(&self, id: GrantId) -> Result<Option<Pickup>, StoreError> {
        let rows = self.link.rows(PICKUP, &[(&id.as_bytes().as_slice(), Type::BYTEA)], PATIENCE).await?;
        rows.first().map(pickup).transpose()
    }

    /// Marks the grant delivered and returns its sealed token; `None` where none is ready.
    pub async fn deliver(&self, id: GrantId) -> Result<Option<Delivery>, StoreError> {
        let rows = self.link.rows(DELIVER, &[(&id.as_bytes().as_slice(), Type::BYTEA)], PATIENCE).await?;
        rows.first().map(delivery).transpose()
    }
}

pub(super) fn pickup(row: &Row) -> Result<Pickup, StoreError> {
    Ok(Pickup { delivered: get(row, "delivered")?, silence: seconds(row, "silence")? })
}

fn delivery(row: &Row) -> Result<Delivery, StoreError> {
    let first_after =
        if get(row, "first")? { Some((seconds(row, "after_approval")?, seconds(row, "after_opening")?)) } else { None };
    Ok(Delivery { token: SealedToken::from_bytes(get(row, "sealed_token")?), first_after })
}
