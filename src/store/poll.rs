//! A terminal's poll: looks its grant up, and delivers the token.

use std::time::Duration;

use strum::EnumString;
use tokio_postgres::types::Type;

use crate::db::{DatabaseError, Parameter, Statement};
use crate::grant::{ClientId, GrantId, PollStatus, SealedToken};
use crate::store::{POLL_TIMEOUT, RowExt as _, Store, word};

/// Notes the poll, tells whether it came too early, and classifies.
///
/// A poll is early if it comes less than the announced interval, minus a second for fast clocks, after the last one that was
/// not. Within the first second it is not: some clients send each poll twice, with the client's name in two places. `$2` says
/// whether the client has to keep the interval; the polls of others are noted once a minute. However short the interval, a grant
/// is written once a second at most. A decided or expired grant is never early.
///
/// A terminal that was refused its token is refused again without a write.
/// An exchange that was begun before the expiry counts as time left. A standby can't run this, so it can't answer it either.
const LOOK_UP: Statement = Statement {
    name: "look_up",
    sql: "WITH noted AS (
              UPDATE device_requests SET polled_at = now()
              WHERE id = $1 AND status IN ('pending', 'authorizing') AND coalesce(client_id = $3, true)
                AND CASE WHEN $2 THEN coalesce(polled_at <= now() - greatest(interval_seconds - 1, 1) * interval '1 second', true)
                         ELSE coalesce(polled_at, opened_at) <= now() - interval '60 seconds' END
          )
          SELECT CASE
                     WHEN status = 'denied' THEN 'denied'
                     WHEN status = 'approved' AND greatest(expires_at, settled_at) > now() - interval '60 seconds' THEN 'ready'
                     WHEN status = 'delivered' AND delivered_at > now() - interval '60 seconds'
                         THEN CASE WHEN deliveries > $4 THEN 'not_saved' ELSE 'ready' END
                     WHEN status NOT IN ('pending', 'authorizing') THEN 'expired'
                     WHEN expires_at <= now() AND coalesce(leased_until <= now(), true) THEN 'expired'
                     WHEN $2 AND polled_at <= now() - interval '1 second'
                          AND polled_at > now() - (interval_seconds - 1) * interval '1 second' THEN 'slow_down'
                     ELSE 'pending'
                 END AS outcome,
                 date_part('epoch', expires_at - now()) AS remaining,
                 set_config('synchronous_commit', 'off', true)
          FROM device_requests WHERE id = $1 AND coalesce(client_id = $3, true)",
};

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
    /// Also returns the time until the grant expires: zero while an exchange begun in time is under way. `keeps_interval` says whether the
    /// client has to keep the announced interval. `client_id` has to be the opening's, if both give one.
    pub async fn look_up(
        &self,
        id: GrantId,
        keeps_interval: bool,
        client_id: Option<&ClientId>,
    ) -> Result<(PollStatus, Duration), DatabaseError> {
        let parameters: [Parameter<'_>; 4] = [
            (&id, Type::BYTEA),
            (&keeps_interval, Type::BOOL),
            (&client_id, Type::TEXT),
            (&MAX_DELIVERIES, Type::INT2),
        ];
        let rows = self.database.rows(LOOK_UP, &parameters, POLL_TIMEOUT).await?;
        let Some(row) = rows.first() else { return Ok((PollStatus::Unknown, Duration::ZERO)) };
        Ok((word(row, "outcome")?, row.seconds("remaining")?))
    }

    /// Marks the grant delivered; `None` if it has no token to deliver.
    pub async fn deliver(&self, id: GrantId) -> Result<Option<Delivery>, DatabaseError> {
        let parameters: [Parameter<'_>; 2] = [(&id, Type::BYTEA), (&MAX_DELIVERIES, Type::INT2)];
        let rows = self.database.rows(DELIVER, &parameters, POLL_TIMEOUT).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Delivery {
            outcome: word(row, "outcome")?,
            token: row.field("sealed_token")?,
            after_approval: row.seconds("after_approval")?,
            after_opening: row.seconds("after_opening")?,
        }))
    }
}
