//! Ends a grant because a browser that did not confirm it brings an authorization code.

use std::time::Duration;

use strum::EnumString;
use tokio_postgres::types::Type;

use crate::db::{DatabaseError, Parameter, RowExt as _, Statement};
use crate::grant::{GrantId, State};
use crate::secret::Digest;
use crate::store::codec::word;
use crate::store::values::MAX_CODES;
use crate::store::{LeaseHolder, Store};

const TIMEOUT: Duration = Duration::from_secs(4);

/// A code that was brought before changes nothing. The first [`MAX_CODES`] are remembered; there is room for no more.
///
/// A grant without a token to wait for keeps its status. `lease_holder` recognises this callback's own first attempt if the
/// answer to it was lost. `settled_at = clock.now` tells whether this attempt ended the grant.
const ABANDON: Statement = Statement {
    name: "abandon",
    sql: "WITH changed AS (
              UPDATE device_requests
              SET status = CASE WHEN status IN ('authorizing', 'approved') THEN 'denied' ELSE status END,
                  settled_at = CASE WHEN status IN ('authorizing', 'approved') THEN clock.now ELSE settled_at END,
                  sealed_token = CASE status WHEN 'delivered' THEN sealed_token END,
                  codes = CASE WHEN $2 = ANY(codes) OR cardinality(codes) >= $4 THEN codes
                               ELSE array_append(codes, $2) END,
                  lease_holder = $3, leased_until = NULL
              FROM (SELECT now() AS now) AS clock
              WHERE state = $1 AND ($2 <> ALL(codes) OR lease_holder = $3)
              RETURNING status = 'denied' AND settled_at = clock.now AS ended
          )
          SELECT id,
                 CASE
                     WHEN (SELECT ended FROM changed) THEN 'ended'
                     WHEN EXISTS (SELECT 1 FROM changed) THEN 'already_over'
                     WHEN status <> 'denied' AND $2 = ANY(codes) THEN 'code_of_right_browser'
                     ELSE 'repeated'
                 END AS outcome
          FROM device_requests WHERE state = $1",
};

/// What a callback in another browser finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abandonment {
    /// It ended the grant. The code has to be made worthless.
    Ended(GrantId),
    /// The grant was over before, and stays as it is. The code has to be made worthless.
    AlreadyOver(GrantId),
    /// This code has ended the grant before.
    Repeated(GrantId),
    /// The browser that confirmed the grant brought this code before.
    CodeOfRightBrowser(GrantId),
    /// No grant has this state.
    Unknown,
}

#[derive(EnumString)]
#[strum(serialize_all = "snake_case")]
enum Outcome {
    Ended,
    AlreadyOver,
    Repeated,
    CodeOfRightBrowser,
}

impl Store {
    /// Only for a browser whose key does not lead to `state`: a state belongs to one browser, so this can't change.
    pub async fn abandon(
        &self,
        state: &State,
        code: &Digest,
        holder: &LeaseHolder,
    ) -> Result<Abandonment, DatabaseError> {
        let (state, holder) = (state.digest(), holder.0.as_slice());
        let parameters: [Parameter<'_>; 4] =
            [(&state, Type::BYTEA), (code, Type::BYTEA), (&holder, Type::BYTEA), (&MAX_CODES, Type::INT4)];
        let rows = self.database.rows(ABANDON, &parameters, TIMEOUT).await?;
        let Some(row) = rows.first() else { return Ok(Abandonment::Unknown) };
        let grant = row.field("id")?;
        Ok(match word(row, "outcome")? {
            Outcome::Ended => Abandonment::Ended(grant),
            Outcome::AlreadyOver => Abandonment::AlreadyOver(grant),
            Outcome::Repeated => Abandonment::Repeated(grant),
            Outcome::CodeOfRightBrowser => Abandonment::CodeOfRightBrowser(grant),
        })
    }
}
