//! The callback: who may exchange an authorization code.
//!
//! A code is exchanged by the holder of a lease, and by one at a time. The lease outlives the
//! exchange's own time limit, so when it runs out its holder is dead and the next try takes over.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::grant::{BrowserKey, GrantId, SealingKey, State, Status, UserCode};
use crate::secret::Digest;
use crate::store::confirm::{StepOutcome, decision};
use crate::store::deliver::{Pickup, pickup};
use crate::store::lookup::status;
use crate::store::{Statement, Store, StoreError, bytes, get, get_bytes};

/// How long a person waits for a page before it says "one moment".
const PATIENCE: Duration = Duration::from_secs(4);
/// Longer than an exchange with all its attempts may take.
const LEASE: Duration = Duration::from_secs(15);
/// A login is approved again and again only by a mistake.
const MOST_CODES: i32 = 16;

/// Takes the lease for a code that was not taken before, or for the current one where it may still
/// be good. A new code takes an approved login back: pressing Authorize again at Postiz has revoked
/// the token that is waiting.
const CLAIM: Statement = Statement {
    name: "claim",
    sql: "WITH changed AS (
              UPDATE device_requests
              SET status = 'authorizing', sealed_token = NULL, settled_at = NULL,
                  codes = CASE WHEN $3 = ANY(codes) THEN codes ELSE array_append(codes, $3) END,
                  code_spent = false,
                  lease_holder = $4, leased_until = now() + make_interval(secs => $5)
              WHERE state = $1 AND browser = $2 AND expires_at > now()
                AND (leased_until IS NULL OR leased_until <= now() OR lease_holder = $4)
                AND ((status = 'authorizing' AND codes[cardinality(codes)] = $3 AND NOT code_spent)
                  OR (status IN ('authorizing', 'approved') AND $3 <> ALL(codes) AND cardinality(codes) < $6))
              RETURNING id
          )
          SELECT id, user_code, sealing_key, status, code_spent,
                 browser = $2 AS ours,
                 expires_at <= now() AS expired,
                 coalesce(leased_until > now(), false) AS leased,
                 $3 = ANY(codes) AS seen,
                 coalesce(codes[cardinality(codes)] = $3, false) AS current,
                 cardinality(codes) < $6 AS room,
                 status = 'delivered' AS delivered,
                 extract(epoch FROM now() - coalesce(polled_at, opened_at))::float8 AS silence,
                 EXISTS (SELECT 1 FROM changed) AS changed
          FROM device_requests WHERE state = $1",
};

const DENY_AT_POSTIZ: Statement = Statement {
    name: "deny_at_postiz",
    sql: "WITH changed AS (
              UPDATE device_requests
              SET status = 'denied', settled_at = now(), lease_holder = NULL, leased_until = NULL
              WHERE state = $1 AND browser = $2 AND status = 'authorizing' AND expires_at > now()
              RETURNING id
          )
          SELECT id, status, browser = $2 AS ours, expires_at <= now() AS expired,
                 EXISTS (SELECT 1 FROM changed) AS changed
          FROM device_requests WHERE state = $1",
};

/// Tells one callback's attempts from another's: a random number for each callback.
#[derive(Debug, Clone)]
pub struct LeaseHolder(pub(super) [u8; 16]);

impl LeaseHolder {
    /// One for this callback.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

/// The right to exchange one authorization code for one grant.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The grant.
    pub grant: GrantId,
    /// Its user code, for approving again.
    pub user_code: UserCode,
    /// What its token is sealed to.
    pub sealing_key: SealingKey,
    pub(super) code: Digest,
    pub(super) holder: LeaseHolder,
}

/// What a callback with an authorization code finds.
#[derive(Debug, Clone)]
pub enum Callback {
    /// It is ours to exchange the code.
    Claimed(Lease),
    /// Another callback is exchanging a code for this login; ask again in a moment.
    InProgress(GrantId),
    /// The login is finished; with this code or with an earlier one of the same browser's.
    Finished {
        /// The login.
        grant: GrantId,
        /// How far its terminal is.
        pickup: Pickup,
    },
    /// The terminal already has a token, which this second approval has revoked at Postiz.
    Replaced(GrantId),
    /// Postiz no longer takes this code; the person has to approve again.
    CodeSpent(GrantId, UserCode),
    /// The person said no.
    Denied(GrantId),
    /// The login's time is over.
    Expired(GrantId),
    /// The login was begun in another browser.
    OtherBrowser,
    /// No login has this state, any more or ever.
    Unknown,
}

impl Store {
    /// Takes the lease for exchanging `code`, or says why not.
    pub async fn claim(
        &self,
        state: &State,
        browser: &BrowserKey,
        code: &Digest,
        holder: &LeaseHolder,
    ) -> Result<Callback, StoreError> {
        let (state, key) = (state.digest(), browser.digest());
        let lease_seconds = LEASE.as_secs_f64();
        let rows = self
            .link
            .rows(
                CLAIM,
                &[
                    (&bytes(&state), Type::BYTEA),
                    (&bytes(&key), Type::BYTEA),
                    (&bytes(code), Type::BYTEA),
                    (&holder.0.as_slice(), Type::BYTEA),
                    (&lease_seconds, Type::FLOAT8),
                    (&MOST_CODES, Type::INT4),
                ],
                PATIENCE,
            )
            .await?;
        rows.first().map_or(Ok(Callback::Unknown), |row| callback(row, code, holder))
    }

    /// Ends the login because the person declined at Postiz; `None` in another browser.
    pub async fn deny_at_postiz(&self, state: &State, browser: &BrowserKey) -> Result<Option<StepOutcome>, StoreError> {
        let (state, key) = (state.digest(), browser.digest());
        let rows = self
            .link
            .rows(DENY_AT_POSTIZ, &[(&bytes(&state), Type::BYTEA), (&bytes(&key), Type::BYTEA)], PATIENCE)
            .await?;
        match rows.first() {
            Some(row) if !get(row, "ours")? => Ok(None),
            Some(row) => decision(row).map(Some),
            None => Ok(Some(StepOutcome::Unknown)),
        }
    }
}

/// Reads the row as it was before the statement, and whether the statement changed it.
fn callback(row: &Row, code: &Digest, holder: &LeaseHolder) -> Result<Callback, StoreError> {
    let grant = GrantId::from_bytes(get_bytes(row, "id")?);
    if !get::<bool>(row, "ours")? {
        return Ok(Callback::OtherBrowser);
    }
    let user_code: UserCode = get::<&str>(row, "user_code")?.parse().map_err(|_| StoreError::Refused)?;
    if get(row, "changed")? {
        let sealing_key = SealingKey::from_bytes(get_bytes(row, "sealing_key")?);
        return Ok(Callback::Claimed(Lease { grant, user_code, sealing_key, code: *code, holder: holder.clone() }));
    }
    let (seen, current): (bool, bool) = (get(row, "seen")?, get(row, "current")?);
    let (leased, expired): (bool, bool) = (get(row, "leased")?, get(row, "expired")?);
    let room: bool = get(row, "room")?;
    Ok(match status(row)? {
        Status::Denied => Callback::Denied(grant),
        // Only another callback's claim, which came in between, can have refused a new code here.
        Status::Approved if !seen && !expired && room => Callback::InProgress(grant),
        Status::Approved | Status::Delivered if seen => Callback::Finished { grant, pickup: pickup(row)? },
        Status::Approved | Status::Delivered => Callback::Replaced(grant),
        Status::Pending | Status::Authorizing if leased => Callback::InProgress(grant),
        Status::Pending | Status::Authorizing if expired => Callback::Expired(grant),
        Status::Pending | Status::Authorizing => {
            let spent: bool = get(row, "code_spent")?;
            if (seen && (spent || !current)) || (!seen && !room) {
                Callback::CodeSpent(grant, user_code)
            } else {
                // Another callback's claim came in between.
                Callback::InProgress(grant)
            }
        }
    })
}

impl Callback {
    /// The login, where it is known and this browser's.
    pub fn grant(&self) -> Option<GrantId> {
        match self {
            Self::Claimed(lease) => Some(lease.grant),
            Self::InProgress(grant)
            | Self::Finished { grant, .. }
            | Self::Replaced(grant)
            | Self::CodeSpent(grant, _)
            | Self::Denied(grant)
            | Self::Expired(grant) => Some(*grant),
            Self::OtherBrowser | Self::Unknown => None,
        }
    }
}
