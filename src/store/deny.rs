//! Ends a grant because the person declined at Postiz.

use std::time::Duration;

use strum::EnumString;
use tokio_postgres::types::Type;

use crate::db::{DatabaseError, RowExt as _, Statement};
use crate::grant::{BrowserKey, GrantId, State};
use crate::store::Store;
use crate::store::codec::word;

const TIMEOUT: Duration = Duration::from_secs(4);

const DENY_AT_POSTIZ: Statement = Statement {
    name: "deny_at_postiz",
    sql: "WITH changed AS (
              UPDATE device_requests
              SET status = 'denied', settled_at = now(), lease_holder = NULL, leased_until = NULL
              WHERE state = $1 AND browser = $2 AND status = 'authorizing' AND expires_at > now()
              RETURNING id
          )
          SELECT id,
                 CASE
                     WHEN browser IS DISTINCT FROM $2 THEN 'wrong_browser'
                     WHEN EXISTS (SELECT 1 FROM changed) THEN 'applied'
                     WHEN status = 'denied' THEN 'denied'
                     WHEN status IN ('approved', 'delivered') THEN 'approved'
                     ELSE 'expired'
                 END AS outcome
          FROM device_requests WHERE state = $1",
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// This denial ended the grant.
    Applied(GrantId),
    /// It was denied before.
    Denied(GrantId),
    /// It was approved before.
    Approved(GrantId),
    Expired(GrantId),
    WrongBrowser(GrantId),
    /// No grant has this state.
    Unknown,
}

#[derive(EnumString)]
#[strum(serialize_all = "snake_case")]
enum Outcome {
    Applied,
    Denied,
    Approved,
    Expired,
    WrongBrowser,
}

impl Store {
    pub async fn deny_at_postiz(&self, state: &State, browser: &BrowserKey) -> Result<Denial, DatabaseError> {
        let (state, browser) = (state.digest(), browser.digest());
        let rows =
            self.database.rows(DENY_AT_POSTIZ, &[(&state, Type::BYTEA), (&browser, Type::BYTEA)], TIMEOUT).await?;
        let Some(row) = rows.first() else { return Ok(Denial::Unknown) };
        let grant = row.field("id")?;
        Ok(match word(row, "outcome")? {
            Outcome::Applied => Denial::Applied(grant),
            Outcome::Denied => Denial::Denied(grant),
            Outcome::Approved => Denial::Approved(grant),
            Outcome::Expired => Denial::Expired(grant),
            Outcome::WrongBrowser => Denial::WrongBrowser(grant),
        })
    }
}
