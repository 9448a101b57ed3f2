//! The callback takes the lease for exchanging an authorization code.
//!
//! Only the holder of the lease exchanges the code. The lease outlives the exchange's own timeout, so when it runs out
//! its holder is dead and the next attempt takes over.

use std::time::Duration;

use strum::EnumString;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::db::{DatabaseError, RowExt as _, Statement};
use crate::grant::{BrowserKey, FixedColumns, GrantId, INACTIVE_AFTER, State, Terminal, UserCode};
use crate::secret::Digest;
use crate::store::codec::word;
use crate::store::values::MAX_CODES;
use crate::store::{Lease, LeaseHolder, Store};

/// After this the person sees a page that tries again.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Longer than an exchange with all its attempts.
const LEASE: Duration = Duration::from_secs(15);

/// Takes the lease for a code that was not seen before, or for the current one if it may still be good. A new code takes
/// an approval back: pressing Authorize again at Postiz has revoked the token that is stored. After [`MAX_CODES`] a spent
/// code can't be followed by another, and the login is as good as expired.
///
/// The outcome is that of the row before the statement. `in_progress` at the end means that another callback's claim came
/// between the two.
const CLAIM: Statement = Statement {
    name: "claim",
    sql: "WITH changed AS (
              UPDATE device_requests
              SET status = 'authorizing', sealed_token = NULL, settled_at = NULL,
                  codes = CASE WHEN $3 = ANY(codes) THEN codes ELSE array_append(codes, $3) END,
                  code_spent = false,
                  lease_holder = $4, leased_until = now() + $5 * interval '1 second'
              WHERE state = $1 AND browser = $2 AND expires_at > now()
                AND (leased_until IS NULL OR leased_until <= now() OR lease_holder = $4)
                AND ((status = 'authorizing' AND codes[cardinality(codes)] = $3 AND NOT code_spent)
                  OR (status IN ('authorizing', 'approved') AND $3 <> ALL(codes) AND cardinality(codes) < $6))
              RETURNING id
          )
          SELECT id, user_code, sealing_key, requester, mac, postiz_client_id,
                 cardinality(codes) + ($3 <> ALL(codes))::int4 >= $6 AS is_last_code,
                 CASE
                     WHEN browser IS DISTINCT FROM $2 THEN 'wrong_browser'
                     WHEN EXISTS (SELECT 1 FROM changed) THEN 'claimed'
                     WHEN status = 'denied' THEN 'denied'
                     WHEN status = 'revoked' THEN 'expired'
                     WHEN status = 'approved' AND $3 <> ALL(codes) AND expires_at > now() AND cardinality(codes) < $6
                         THEN 'in_progress'
                     WHEN status IN ('approved', 'delivered') AND $3 <> ALL(codes) THEN 'replaced'
                     WHEN status = 'delivered' THEN 'signed_in'
                     WHEN status = 'approved' AND now() - coalesce(polled_at, opened_at) > $7 * interval '1 second'
                         THEN 'inactive'
                     WHEN status = 'approved' THEN 'waiting'
                     WHEN leased_until > now() THEN 'in_progress'
                     WHEN expires_at <= now() THEN 'expired'
                     WHEN codes[cardinality(codes)] = $3 AND NOT code_spent THEN 'in_progress'
                     WHEN cardinality(codes) >= $6 THEN 'expired'
                     WHEN $3 = ANY(codes) THEN 'code_spent'
                     ELSE 'in_progress'
                 END AS outcome
          FROM device_requests WHERE state = $1",
};

/// What a callback with an authorization code finds.
#[derive(Debug, Clone)]
pub enum Claim {
    /// This callback exchanges the code.
    Claimed(Lease),
    /// Another callback is exchanging a code for this grant; ask again in a moment.
    InProgress(GrantId),
    /// Approved, with this code or with an earlier one of this browser's.
    Approved(GrantId, Terminal),
    /// The terminal already has a token, which this second approval has revoked at Postiz.
    Replaced(GrantId),
    /// Postiz does not accept this code any more; the person has to approve again.
    CodeSpent(GrantId, UserCode),
    Denied(GrantId),
    /// Expired or revoked, or its codes are used up.
    Expired(GrantId),
    WrongBrowser(GrantId),
    /// The row is not as it was opened, or its MAC is missing. The code must not be exchanged.
    Altered(GrantId),
    /// No grant has this state.
    Unknown,
}

#[derive(EnumString)]
#[strum(serialize_all = "snake_case")]
enum Outcome {
    Claimed,
    InProgress,
    SignedIn,
    Waiting,
    Inactive,
    Replaced,
    CodeSpent,
    Denied,
    Expired,
    WrongBrowser,
}

impl Store {
    pub async fn claim(
        &self,
        state: &State,
        browser: &BrowserKey,
        code: &Digest,
        holder: &LeaseHolder,
    ) -> Result<Claim, DatabaseError> {
        let rows = self
            .database
            .rows(
                CLAIM,
                &[
                    (&state.digest(), Type::BYTEA),
                    (&browser.digest(), Type::BYTEA),
                    (code, Type::BYTEA),
                    (&holder.0.as_slice(), Type::BYTEA),
                    (&LEASE.as_secs_f64(), Type::FLOAT8),
                    (&MAX_CODES, Type::INT4),
                    (&INACTIVE_AFTER.as_secs_f64(), Type::FLOAT8),
                ],
                TIMEOUT,
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(Claim::Unknown) };
        match claim(row, code, holder)? {
            Claim::Claimed(lease) if !self.is_authentic(row, &lease, state, browser)? => {
                Ok(Claim::Altered(lease.grant))
            }
            claim => Ok(claim),
        }
    }

    /// Whether this row was opened by this server, and `state` belongs to its user code. A state that was moved from
    /// another row does not.
    fn is_authentic(
        &self,
        row: &Row,
        lease: &Lease,
        state: &State,
        browser: &BrowserKey,
    ) -> Result<bool, DatabaseError> {
        let Some(key) = &self.row_key else { return Ok(true) };
        let columns = FixedColumns {
            id: &lease.grant,
            user_code: &lease.user_code,
            sealing_key: &lease.sealing_key,
            requester: row.field("requester")?,
        };
        let has_own_state = browser.state(lease.user_code).digest() == state.digest();
        let is_as_opened = match row.field::<Option<&[u8]>>("mac")? {
            Some(mac) => key.verifies(columns, mac),
            // Opened and confirmed at a replica without the client secret. If not, Postiz refuses the exchange: the code
            // belongs to the app.
            None => lease.postiz_client.is_some(),
        };
        Ok(has_own_state && is_as_opened)
    }
}

fn claim(row: &Row, code: &Digest, holder: &LeaseHolder) -> Result<Claim, DatabaseError> {
    let (grant, user_code) = (row.field("id")?, row.field("user_code")?);
    Ok(match word(row, "outcome")? {
        Outcome::Claimed => {
            let (sealing_key, postiz_client) = (row.field("sealing_key")?, row.field("postiz_client_id")?);
            let (is_last_code, holder) = (row.field("is_last_code")?, holder.clone());
            Claim::Claimed(Lease { grant, user_code, sealing_key, postiz_client, is_last_code, code: *code, holder })
        }
        Outcome::InProgress => Claim::InProgress(grant),
        Outcome::SignedIn => Claim::Approved(grant, Terminal::SignedIn),
        Outcome::Waiting => Claim::Approved(grant, Terminal::Waiting),
        Outcome::Inactive => Claim::Approved(grant, Terminal::Inactive),
        Outcome::Replaced => Claim::Replaced(grant),
        Outcome::CodeSpent => Claim::CodeSpent(grant, user_code),
        Outcome::Denied => Claim::Denied(grant),
        Outcome::Expired => Claim::Expired(grant),
        Outcome::WrongBrowser => Claim::WrongBrowser(grant),
    })
}
