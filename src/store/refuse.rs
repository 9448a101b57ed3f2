//! Ends a grant at its callback: the person declined at Postiz, or a code came in a browser that did not confirm the grant.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::db::{DatabaseError, RowExt as _, Statement};
use crate::grant::{BrowserKey, Done, State};
use crate::secret::Digest;
use crate::store::codec::word;
use crate::store::{PAGE_TIMEOUT, Store};

const DENY_AT_POSTIZ: Statement = Statement {
    name: "deny_at_postiz",
    sql: "WITH changed AS (
              UPDATE device_requests
              SET status = 'denied', settled_at = now(), lease_holder = NULL, leased_until = NULL
              WHERE id = $1 AND browser = $2 AND status = 'authorizing' AND expires_at > now()
              RETURNING id
          )
          SELECT EXISTS (SELECT 1 FROM changed) AS applied,
                 CASE
                     WHEN EXISTS (SELECT 1 FROM changed) THEN 'denied'
                     WHEN browser IS DISTINCT FROM $2 THEN 'wrong_browser'
                     WHEN status = 'denied' THEN 'denied'
                     WHEN status = 'delivered' THEN 'signed_in'
                     WHEN status = 'approved' THEN 'waiting'
                     ELSE 'link_expired'
                 END AS outcome
          FROM device_requests WHERE id = $1",
};

/// A code that the right browser has brought before changes nothing: a scanner of links follows it too.
const ABANDON: Statement = Statement {
    name: "abandon",
    sql: "WITH changed AS (
              UPDATE device_requests
              SET status = 'denied', settled_at = now(), sealed_token = NULL, lease_holder = NULL, leased_until = NULL
              WHERE id = $1 AND status IN ('authorizing', 'approved') AND $2 <> ALL(codes)
              RETURNING id
          )
          SELECT EXISTS (SELECT 1 FROM changed) AS applied,
                 CASE
                     WHEN EXISTS (SELECT 1 FROM changed) OR status = 'denied' THEN 'stopped'
                     WHEN $2 = ANY(codes) OR status = 'delivered' THEN 'wrong_browser'
                     ELSE 'link_expired'
                 END AS outcome
          FROM device_requests WHERE id = $1",
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub outcome: Done,
    /// Whether this attempt ended the grant.
    pub applied: bool,
}

impl Store {
    pub async fn deny_at_postiz(&self, state: &State, browser: &BrowserKey) -> Result<Refusal, DatabaseError> {
        let (id, browser) = (&state.grant, browser.digest());
        let parameters = [(id as _, Type::BYTEA), (&browser as _, Type::BYTEA)];
        let rows = self.database.rows(DENY_AT_POSTIZ, &parameters, PAGE_TIMEOUT).await?;
        refusal(&rows)
    }

    /// Only for a browser that does not own `state`.
    pub async fn abandon(&self, state: &State, code: &Digest) -> Result<Refusal, DatabaseError> {
        let parameters = [(&state.grant as _, Type::BYTEA), (code as _, Type::BYTEA)];
        let rows = self.database.rows(ABANDON, &parameters, PAGE_TIMEOUT).await?;
        refusal(&rows)
    }
}

fn refusal(rows: &[Row]) -> Result<Refusal, DatabaseError> {
    let Some(row) = rows.first() else { return Ok(Refusal { outcome: Done::LinkExpired, applied: false }) };
    Ok(Refusal { outcome: word(row, "outcome")?, applied: row.field("applied")? })
}
