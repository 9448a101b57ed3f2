//! The end of an exchange: the token is stored, or the lease is given back.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::grant::{Decision, SealedToken, Status};
use crate::store::callback::Lease;
use crate::store::lookup::status;
use crate::store::{Statement, Store, StoreError, bytes, get};

/// How long giving a lease back is tried; after that it runs out by itself.
const PATIENCE: Duration = Duration::from_secs(4);

/// Needs no lease, only that its code is still the current one: a token that Postiz has granted is
/// kept, whoever took over meanwhile.
const APPROVE: Statement = Statement {
    name: "approve",
    sql: "WITH changed AS (
              UPDATE device_requests
              SET status = 'approved', sealed_token = $3, settled_at = now(),
                  purge_at = greatest(expires_at, now()) + interval '60 seconds',
                  lease_holder = NULL, leased_until = NULL
              WHERE id = $1 AND status = 'authorizing' AND codes[cardinality(codes)] = $2
              RETURNING id
          )
          SELECT status, coalesce(codes[cardinality(codes)] = $2, false) AS current,
                 EXISTS (SELECT 1 FROM changed) AS changed
          FROM device_requests WHERE id = $1",
};

const RELEASE: Statement = Statement {
    name: "release",
    sql: "UPDATE device_requests
          SET lease_holder = NULL, leased_until = NULL, code_spent = $3
          WHERE id = $1 AND lease_holder = $2",
};

/// What became of a token that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// It waits for the terminal, now or since an earlier attempt.
    Approved,
    /// The person has said no meanwhile; the token is not kept.
    Denied,
    /// The login is gone, or a later code has taken this one's place.
    Superseded,
}

impl Store {
    /// Stores a token that Postiz has granted, trying for at most `patience`; may be repeated.
    pub async fn approve(
        &self,
        lease: &Lease,
        token: &SealedToken,
        patience: Duration,
    ) -> Result<Approval, StoreError> {
        let rows = self
            .link
            .rows(
                APPROVE,
                &[
                    (&lease.grant.as_bytes().as_slice(), Type::BYTEA),
                    (&bytes(&lease.code), Type::BYTEA),
                    (&token.as_bytes(), Type::BYTEA),
                ],
                patience,
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(Approval::Superseded) };
        if get(row, "changed")? {
            return Ok(Approval::Approved);
        }
        let current: bool = get(row, "current")?;
        Ok(match status(row)? {
            Status::Approved | Status::Delivered if current => Approval::Approved,
            Status::Denied => Approval::Denied,
            Status::Pending | Status::Authorizing | Status::Approved | Status::Delivered => Approval::Superseded,
        })
    }

    /// Gives the lease back after an exchange that failed; `spent` where the code is of no more use.
    pub async fn release(&self, lease: &Lease, spent: bool) -> Result<(), StoreError> {
        self.link
            .rows(
                RELEASE,
                &[
                    (&lease.grant.as_bytes().as_slice(), Type::BYTEA),
                    (&lease.holder.0.as_slice(), Type::BYTEA),
                    (&spent, Type::BOOL),
                ],
                PATIENCE,
            )
            .await
            .map(drop)
    }
}

impl Approval {
    /// How the waiting terminals hear of it.
    pub fn settled(self) -> Option<Decision> {
        match self {
            Self::Approved => Some(Decision::Approved),
            Self::Denied | Self::Superseded => None,
        }
    }
}
