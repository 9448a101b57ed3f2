//! A callback: takes the lease for exchanging its authorization code, and stores the token, gives the lease back or ends the grant.
//! Then it asks whether the terminal has its token.
//!
//! Only the holder of the lease exchanges the code. The lease outlives the exchange's own timeout, so when it runs out
//! its holder is dead and the next attempt takes over.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::db::{DatabaseError, Parameter, Statement};
use crate::grant::{
    BrowserKey, Done, GrantId, INACTIVE_AFTER, PostizClientId, SealedToken, SealingKey, State, UserCode, VerifierSalt,
};
use crate::secret::Digest;
use crate::store::{PAGE_TIMEOUT, POLL_TIMEOUT, RowExt as _, Store, word};

/// Longer than an exchange with all its attempts.
const LEASE: Duration = Duration::from_secs(15);
/// Authorization codes of one grant that are exchanged. An honest login needs a second one after a failure or a second
/// click. Each more is a request to Postiz that its terminal did not need.
const MAX_CODES: i32 = 5;

/// Takes the lease for a code that was not seen before, or for the current one if it may still be good. A new code takes
/// an approval back: pressing Authorize again at Postiz has ended the token that is stored. A code that is neither changes
/// nothing.
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
              WHERE id = $1 AND browser = $2 AND expires_at > now()
                AND (leased_until IS NULL OR leased_until <= now() OR lease_holder = $4)
                AND ((status = 'authorizing' AND codes[cardinality(codes)] = $3 AND NOT code_spent)
                  OR (status IN ('authorizing', 'approved') AND $3 <> ALL(codes) AND cardinality(codes) < $6))
              RETURNING id
          )
          SELECT user_code, sealing_key, verifier_salt, postiz_client_id,
                 CASE
                     WHEN EXISTS (SELECT 1 FROM changed) THEN 'claimed'
                     WHEN browser IS DISTINCT FROM $2 THEN 'link_expired'
                     WHEN status = 'denied' THEN 'denied'
                     WHEN status = 'revoked' THEN 'link_expired'
                     WHEN status = 'approved' AND $3 <> ALL(codes) AND expires_at > now() AND cardinality(codes) < $6
                         THEN 'in_progress'
                     WHEN status IN ('approved', 'delivered') AND $3 <> ALL(codes) THEN 'replaced'
                     WHEN status = 'delivered' THEN 'signed_in'
                     WHEN status = 'approved' AND now() - coalesce(polled_at, opened_at) > $7 * interval '1 second'
                         THEN 'inactive'
                     WHEN status = 'approved' THEN 'waiting'
                     WHEN leased_until > now() THEN 'in_progress'
                     WHEN expires_at <= now() THEN 'link_expired'
                     WHEN codes[cardinality(codes)] = $3 AND NOT code_spent THEN 'in_progress'
                     WHEN cardinality(codes) >= $6 THEN 'link_expired'
                     WHEN $3 = ANY(codes) THEN 'code_spent'
                     ELSE 'in_progress'
                 END AS outcome
          FROM device_requests WHERE id = $1",
};

/// `$3` says that Postiz does not accept the code any more.
const RELEASE: Statement = Statement {
    name: "release",
    sql: "UPDATE device_requests SET lease_holder = NULL, leased_until = NULL, code_spent = $3
          WHERE id = $1 AND lease_holder = $2",
};

/// Needs no lease, only that its code is still the current one: a token that Postiz has granted is kept, even if another
/// callback took the lease over.
const APPROVE: Statement = Statement {
    name: "approve",
    sql: "WITH changed AS (
              UPDATE device_requests
              SET status = 'approved', sealed_token = $3, settled_at = now(), lease_holder = NULL, leased_until = NULL
              WHERE id = $1 AND status = 'authorizing' AND codes[cardinality(codes)] = $2
              RETURNING id
          )
          SELECT CASE
                     WHEN EXISTS (SELECT 1 FROM changed) THEN 'waiting'
                     WHEN status IN ('approved', 'delivered') AND codes[cardinality(codes)] = $2 THEN 'waiting'
                     WHEN status = 'denied' THEN 'denied'
                     ELSE 'link_expired'
                 END AS outcome
          FROM device_requests WHERE id = $1",
};

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

const TERMINAL: Statement = Statement {
    name: "terminal",
    sql: "SELECT CASE
                     WHEN status = 'delivered' THEN 'signed_in'
                     WHEN now() - coalesce(polled_at, opened_at) > $2 * interval '1 second' THEN 'inactive'
                     ELSE 'waiting'
                 END AS outcome
          FROM device_requests WHERE id = $1",
};

/// Tells one callback's attempts from another's: a random number for each callback.
#[derive(Debug, Clone)]
pub struct LeaseHolder([u8; 16]);

impl LeaseHolder {
    pub fn random() -> Self {
        Self(rand::random())
    }
}

/// The right to exchange one authorization code for one grant.
#[derive(Debug, Clone)]
pub struct Lease {
    pub grant: GrantId,
    pub user_code: UserCode,
    pub sealing_key: SealingKey,
    pub verifier_salt: VerifierSalt,
    /// The client that was registered for this grant, if one was.
    pub postiz_client: Option<PostizClientId>,
    pub(super) code: Digest,
    holder: LeaseHolder,
}

/// What a callback with an authorization code finds.
#[derive(Debug, Clone)]
pub enum Claim {
    /// This callback exchanges the code.
    Claimed(Lease),
    /// Another callback is exchanging a code for this grant; ask again in a moment.
    InProgress,
    /// Postiz does not accept this code any more; the person has to approve again.
    CodeSpent(UserCode),
    Over(Done),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub outcome: Done,
    /// Whether this attempt ended the grant.
    pub applied: bool,
}

impl Store {
    /// Only for the browser that owns `state`.
    pub async fn claim(
        &self,
        state: &State,
        browser: &BrowserKey,
        code: &Digest,
        holder: &LeaseHolder,
    ) -> Result<Claim, DatabaseError> {
        let (digest, holder_id) = (browser.digest(), holder.0.as_slice());
        let (lease, inactive_after) = (LEASE.as_secs_f64(), INACTIVE_AFTER.as_secs_f64());
        let parameters: [Parameter<'_>; 7] = [
            (&state.grant, Type::BYTEA),
            (&digest, Type::BYTEA),
            (code, Type::BYTEA),
            (&holder_id, Type::BYTEA),
            (&lease, Type::FLOAT8),
            (&MAX_CODES, Type::INT4),
            (&inactive_after, Type::FLOAT8),
        ];
        let rows = self.database.rows(CLAIM, &parameters, PAGE_TIMEOUT).await?;
        let Some(row) = rows.first() else { return Ok(Claim::Over(Done::LinkExpired)) };
        let user_code = row.field("user_code")?;
        Ok(match row.field("outcome")? {
            "claimed" => Claim::Claimed(Lease {
                grant: state.grant,
                user_code,
                sealing_key: row.field("sealing_key")?,
                verifier_salt: row.field("verifier_salt")?,
                postiz_client: row.field("postiz_client_id")?,
                code: *code,
                holder: holder.clone(),
            }),
            "in_progress" => Claim::InProgress,
            "code_spent" => Claim::CodeSpent(user_code),
            _ => Claim::Over(word(row, "outcome")?),
        })
    }

    /// Retries for at most `limit`; may be repeated. The token is stored if the outcome is [`Done::Waiting`]. The others are
    /// [`Done::Denied`], and [`Done::LinkExpired`] if the grant was revoked or deleted or a later code has replaced this one.
    pub async fn approve(&self, lease: &Lease, token: &SealedToken, limit: Duration) -> Result<Done, DatabaseError> {
        let parameters: [Parameter<'_>; 3] =
            [(&lease.grant, Type::BYTEA), (&lease.code, Type::BYTEA), (token, Type::BYTEA)];
        let rows = self.database.rows(APPROVE, &parameters, limit).await?;
        rows.first().map_or(Ok(Done::LinkExpired), |row| word(row, "outcome"))
    }

    /// If this fails, the lease runs out by itself. `code_spent` says that Postiz does not accept the code any more.
    pub async fn release(&self, lease: &Lease, code_spent: bool) -> Result<(), DatabaseError> {
        let holder = lease.holder.0.as_slice();
        let parameters: [Parameter<'_>; 3] =
            [(&lease.grant, Type::BYTEA), (&holder, Type::BYTEA), (&code_spent, Type::BOOL)];
        self.database.rows(RELEASE, &parameters, PAGE_TIMEOUT).await.map(drop)
    }

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

    /// What the terminal of an approved grant is doing: signed in, waiting or inactive. `None` if the grant was deleted.
    pub async fn terminal(&self, id: GrantId) -> Result<Option<Done>, DatabaseError> {
        let inactive_after = INACTIVE_AFTER.as_secs_f64();
        let parameters: [Parameter<'_>; 2] = [(&id, Type::BYTEA), (&inactive_after, Type::FLOAT8)];
        let rows = self.database.rows(TERMINAL, &parameters, POLL_TIMEOUT).await?;
        rows.first().map(|row| word(row, "outcome")).transpose()
    }
}

fn refusal(rows: &[Row]) -> Result<Refusal, DatabaseError> {
    let Some(row) = rows.first() else { return Ok(Refusal { outcome: Done::LinkExpired, applied: false }) };
    Ok(Refusal { outcome: word(row, "outcome")?, applied: row.field("applied")? })
}
