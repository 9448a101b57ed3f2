//! Stores a token after its exchange.

use std::time::Duration;

use strum::EnumString;
use tokio_postgres::types::Type;

use crate::db::{DatabaseError, Parameter, Statement};
use crate::grant::SealedToken;
use crate::store::codec::word;
use crate::store::{Lease, Store};

/// Needs no lease, only that its code is still the current one: a token that Postiz has granted is kept, even if another
/// callback took the lease over.
const APPROVE: Statement = Statement {
    name: "approve",
    sql: "WITH changed AS (
              UPDATE device_requests
              SET status = 'approved', sealed_token = $3, settled_at = now(), confirmed_at = NULL,
                  purge_at = greatest(expires_at, now()) + interval '60 seconds',
                  lease_holder = NULL, leased_until = NULL
              WHERE id = $1 AND status = 'authorizing' AND codes[cardinality(codes)] = $2
              RETURNING id
          )
          SELECT CASE
                     WHEN EXISTS (SELECT 1 FROM changed) THEN 'approved'
                     WHEN status IN ('approved', 'delivered') AND codes[cardinality(codes)] = $2 THEN 'approved'
                     WHEN status = 'denied' THEN 'denied'
                     ELSE 'superseded'
                 END AS outcome
          FROM device_requests WHERE id = $1",
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Approval {
    /// The token is stored, by this attempt or an earlier one.
    Approved,
    /// The person declined meanwhile; the token is not stored.
    Denied,
    /// The grant was revoked or deleted, or a later code has replaced this one; the token is not stored.
    Superseded,
}

impl Store {
    /// Retries for at most `limit`; may be repeated.
    pub async fn approve(
        &self,
        lease: &Lease,
        token: &SealedToken,
        limit: Duration,
    ) -> Result<Approval, DatabaseError> {
        let parameters: [Parameter<'_>; 3] =
            [(&lease.grant, Type::BYTEA), (&lease.code, Type::BYTEA), (token, Type::BYTEA)];
        let rows = self.database.rows(APPROVE, &parameters, limit).await?;
        rows.first().map_or(Ok(Approval::Superseded), |row| word(row, "outcome"))
    }
}
