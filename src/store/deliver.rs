//! Delivers the token, and tells whether it was delivered.

use std::time::Duration;

use strum::EnumString;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::db::{DatabaseError, Parameter, RowExt as _, Seconds, Statement};
use crate::grant::{GrantId, INACTIVE_AFTER, SealedToken, Terminal};
use crate::store::Store;
use crate::store::codec::word;

/// After this the poll is answered `authorization_pending`; the terminal polls again.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Deliveries of one token. A terminal that can't save its token fetches it with each poll; one whose replies are lost may
/// use up four at once, for polls that are held on broken connections, and then polls every 1 to 5 s. Ten are reached within
/// the minute in either case.
const MAX_DELIVERIES: i16 = 10;

/// After the first delivery, a terminal whose reply was lost can ask again for a minute, or for what is left of the minute
/// after the expiry. `deliveries` stops one above the first refusal. Citus takes no `now()` beside columns here.
const DELIVER: Statement = Statement {
    name: "deliver",
    sql: "UPDATE device_requests
          SET status = 'delivered',
              purge_at = least(purge_at, clock.now + interval '60 seconds'),
              deliveries = least(deliveries + 1, $2 + 2)
          FROM (SELECT now() AS now) AS clock
          WHERE id = $1 AND status IN ('approved', 'delivered') AND purge_at > clock.now
          RETURNING sealed_token,
                    CASE WHEN deliveries = 1 THEN 'first'
                         WHEN deliveries <= $2 THEN 'again'
                         WHEN deliveries = $2 + 1 THEN 'first_refusal'
                         ELSE 'refused' END AS outcome,
                    date_part('epoch', clock.now - settled_at) AS after_approval,
                    date_part('epoch', clock.now - opened_at) AS after_opening",
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

#[derive(Debug, Clone)]
pub enum Delivery {
    Token {
        token: SealedToken,
        /// The time since the approval and since the opening; `None` if it was delivered before.
        first_after: Option<(Duration, Duration)>,
    },
    /// The terminal has fetched its token `MAX_DELIVERIES` times.
    TooMany {
        /// Whether this is the first refusal.
        first: bool,
    },
    NotReady,
}

#[derive(EnumString)]
#[strum(serialize_all = "snake_case")]
enum Outcome {
    First,
    Again,
    FirstRefusal,
    Refused,
}

impl Store {
    /// Marks the grant delivered and returns its sealed token, up to `MAX_DELIVERIES` times.
    pub async fn deliver(&self, id: GrantId) -> Result<Delivery, DatabaseError> {
        let rows = self.database.rows(DELIVER, &[(&id, Type::BYTEA), (&MAX_DELIVERIES, Type::INT2)], TIMEOUT).await?;
        rows.first().map_or(Ok(Delivery::NotReady), delivery)
    }

    /// What the terminal of an approved grant is doing; `None` if the grant was deleted.
    pub async fn terminal(&self, id: GrantId) -> Result<Option<Terminal>, DatabaseError> {
        let inactive_after = INACTIVE_AFTER.as_secs_f64();
        let parameters: [Parameter<'_>; 2] = [(&id, Type::BYTEA), (&inactive_after, Type::FLOAT8)];
        let rows = self.database.rows(TERMINAL, &parameters, TIMEOUT).await?;
        rows.first().map(|row| word(row, "outcome")).transpose()
    }
}

fn delivery(row: &Row) -> Result<Delivery, DatabaseError> {
    let first_after = match word(row, "outcome")? {
        Outcome::First => {
            let Seconds(after_approval) = row.field("after_approval")?;
            let Seconds(after_opening) = row.field("after_opening")?;
            Some((after_approval, after_opening))
        }
        Outcome::Again => None,
        Outcome::FirstRefusal => return Ok(Delivery::TooMany { first: true }),
        Outcome::Refused => return Ok(Delivery::TooMany { first: false }),
    };
    Ok(Delivery::Token { token: row.field("sealed_token")?, first_after })
}
