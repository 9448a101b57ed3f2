//! Delivers the token, and tells what the terminal is doing.

use std::time::Duration;

use strum::EnumString;
use tokio_postgres::types::Type;

use crate::db::{DatabaseError, Parameter, RowExt as _, Seconds, Statement};
use crate::grant::{Done, GrantId, INACTIVE_AFTER, SealedToken};
use crate::store::codec::word;
use crate::store::{POLL_TIMEOUT, Store};

/// Deliveries of one token. A terminal that can't save its token fetches it with each poll. One whose replies are lost polls
/// every 1 to 5 s. Both reach ten within the minute.
const MAX_DELIVERIES: i16 = 10;

/// After the first delivery, a terminal whose reply was lost can ask again for a minute. `deliveries` stops one above the
/// first refusal.
const DELIVER: Statement = Statement {
    name: "deliver",
    sql: "UPDATE device_requests
          SET status = 'delivered', delivered_at = coalesce(delivered_at, now()),
              deliveries = least(deliveries + 1, $2 + 2)
          WHERE id = $1
            AND (status = 'approved' AND greatest(expires_at, settled_at) > now() - interval '60 seconds'
                 OR status = 'delivered' AND delivered_at > now() - interval '60 seconds')
          RETURNING sealed_token,
                    CASE WHEN deliveries = 1 THEN 'first'
                         WHEN deliveries <= $2 THEN 'again'
                         WHEN deliveries = $2 + 1 THEN 'first_refusal'
                         ELSE 'refused' END AS outcome,
                    date_part('epoch', now() - settled_at) AS after_approval,
                    date_part('epoch', now() - opened_at) AS after_opening,
                    set_config('synchronous_commit', 'off', true)",
};

const TERMINAL: Statement = Statement {
    name: "terminal",
    sql: "SELECT CASE
                     WHEN status = 'delivered' THEN 'signed_in'
                     WHEN now() - coalesce(polled_at, opened_at) > $2 * interval '1 second' THEN 'inactive'
                     ELSE 'waiting'
                 END AS outcome
          FROM device_requests WHERE id = $1",
};

/// A delivery, with the sealed token and the time since the approval and since the opening.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub outcome: Delivered,
    pub token: SealedToken,
    pub after_approval: Duration,
    pub after_opening: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Delivered {
    First,
    Again,
    /// The terminal has fetched its token `MAX_DELIVERIES` times before.
    FirstRefusal,
    Refused,
}

impl Store {
    /// Marks the grant delivered; `None` if it has no token to deliver.
    pub async fn deliver(&self, id: GrantId) -> Result<Option<Delivery>, DatabaseError> {
        let parameters: [Parameter<'_>; 2] = [(&id, Type::BYTEA), (&MAX_DELIVERIES, Type::INT2)];
        let rows = self.database.rows(DELIVER, &parameters, POLL_TIMEOUT).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Delivery {
            outcome: word(row, "outcome")?,
            token: row.field("sealed_token")?,
            after_approval: row.field::<Seconds>("after_approval")?.0,
            after_opening: row.field::<Seconds>("after_opening")?.0,
        }))
    }

    /// What the terminal of an approved grant is doing: signed in, waiting or inactive. `None` if the grant was deleted.
    pub async fn terminal(&self, id: GrantId) -> Result<Option<Done>, DatabaseError> {
        let inactive_after = INACTIVE_AFTER.as_secs_f64();
        let parameters: [Parameter<'_>; 2] = [(&id, Type::BYTEA), (&inactive_after, Type::FLOAT8)];
        let rows = self.database.rows(TERMINAL, &parameters, POLL_TIMEOUT).await?;
        rows.first().map(|row| word(row, "outcome")).transpose()
    }
}
