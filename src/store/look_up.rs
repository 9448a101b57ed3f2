//! Looks a grant up for a poll: notes the poll, tells whether it came too early, and classifies.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::db::{DatabaseError, Parameter, RowExt as _, Seconds, Statement};
use crate::grant::{ClientId, GrantId, Standing};
use crate::store::codec::word;
use crate::store::{POLL_TIMEOUT, Store};

/// A poll is early if it comes less than the announced interval, minus a second for fast clocks, after the last one that was
/// not. Within the first second it is not: some clients send each poll twice, with the client's name in two places. `$2` says
/// whether the client has to keep the interval; the polls of others are noted once a minute. A decided or expired grant is
/// never early.
///
/// An exchange that was begun before the expiry counts as time left. A standby can't run this, so it can't answer it either.
const LOOK_UP: Statement = Statement {
    name: "look_up",
    sql: "WITH noted AS (
              UPDATE device_requests SET polled_at = now()
              WHERE id = $1 AND status IN ('pending', 'authorizing') AND coalesce(client_id = $3, true)
                AND CASE WHEN $2 THEN coalesce(polled_at <= now() - (interval_seconds - 1) * interval '1 second', true)
                         ELSE coalesce(polled_at, opened_at) <= now() - interval '60 seconds' END
          )
          SELECT CASE
                     WHEN status = 'denied' THEN 'denied'
                     WHEN status = 'approved' AND greatest(expires_at, settled_at) > now() - interval '60 seconds' THEN 'ready'
                     WHEN status = 'delivered' AND delivered_at > now() - interval '60 seconds' THEN 'ready'
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

impl Store {
    /// Also returns the time until the grant expires: zero while an exchange begun in time is under way. `paced` says whether the
    /// client has to keep the announced interval. `client_id` has to be the opening's, if both give one.
    pub async fn look_up(
        &self,
        id: GrantId,
        paced: bool,
        client_id: Option<&ClientId>,
    ) -> Result<(Standing, Duration), DatabaseError> {
        let parameters: [Parameter<'_>; 3] = [(&id, Type::BYTEA), (&paced, Type::BOOL), (&client_id, Type::TEXT)];
        let rows = self.database.rows(LOOK_UP, &parameters, POLL_TIMEOUT).await?;
        let Some(row) = rows.first() else { return Ok((Standing::Unknown, Duration::ZERO)) };
        Ok((word(row, "outcome")?, row.field::<Seconds>("remaining")?.0))
    }
}
