//! The operator ends grants.
//!
//! A token that is not delivered yet is deleted. The terminal gets `expired_token`, for which the published CLI prints a
//! sentence.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::db::{DatabaseError, Parameter, Statement};
use crate::grant::{GrantId, UserCode};
use crate::store::{RowExt as _, Store};

const TIMEOUT: Duration = Duration::from_secs(8);
/// In one statement, so that it ends in its time and no other step waits long.
const AT_ONCE: usize = 5_000;

/// `settled_at` brings it to the decision feed. The row stays for a minute, for terminals whose polls are not held.
const REVOKE: Statement = Statement {
    name: "revoke",
    sql: "UPDATE device_requests
          SET status = 'revoked', settled_at = now(), sealed_token = NULL, lease_holder = NULL, leased_until = NULL
          WHERE status IN ('pending', 'authorizing', 'approved') AND id = ANY (ARRAY(
              SELECT id FROM device_requests
              WHERE status IN ('pending', 'authorizing', 'approved')
                AND (status = 'approved' AND greatest(expires_at, settled_at) > now() - interval '60 seconds'
                     OR expires_at > now() OR leased_until > now())
                AND ($1 OR user_code = $2 OR substr(id, 1, 4) = $3)
              LIMIT $4))
          RETURNING id",
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    UserCode(UserCode),
    /// The first four bytes of the grant's id.
    Reference([u8; 4]),
    /// All that are not delivered, denied, expired or revoked.
    AllPending,
}

impl Store {
    /// Returns the grants that it ended.
    pub async fn revoke(&self, which: Which) -> Result<Vec<GrantId>, DatabaseError> {
        let (all, code, reference) = match &which {
            Which::UserCode(code) => (false, Some(code), None),
            Which::Reference(reference) => (false, None, Some(reference.as_slice())),
            Which::AllPending => (true, None, None),
        };
        let most = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
        let parameters: [Parameter<'_>; 4] =
            [(&all, Type::BOOL), (&code, Type::TEXT), (&reference, Type::BYTEA), (&most, Type::INT8)];
        let mut revoked = Vec::new();
        loop {
            let rows = self.database.rows(REVOKE, &parameters, TIMEOUT).await?;
            for row in &rows {
                revoked.push(row.field("id")?);
            }
            // A few may have been decided between their choice and their turn, so a full batch can bring fewer.
            if rows.len() < AT_ONCE / 2 {
                return Ok(revoked);
            }
        }
    }
}
