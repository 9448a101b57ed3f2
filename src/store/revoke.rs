//! The operator ends logins: their time is over, as of now.
//!
//! A revoked grant is as if just opened and past its time, so every step refuses it and its terminal
//! hears `expired_token`, which the published CLI shows as a sentence. What its browser has begun leads
//! nowhere, a token that waits for its terminal is forgotten, and an exchange under way finds its code
//! gone.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::grant::{GrantId, UserCode};
use crate::store::{Statement, Store, StoreError, get_bytes};

const PATIENCE: Duration = Duration::from_secs(8);

/// `settled_at` wakes the terminals that wait, at whichever replica; the minute is for the others.
const REVOKE: Statement = Statement {
    name: "revoke",
    sql: "UPDATE device_requests
          SET status = 'pending', expires_at = now(), settled_at = now(), purge_at = now() + interval '60 seconds',
              sealed_token = NULL, browser = NULL, state = NULL, codes = '{}', code_spent = false,
              lease_holder = NULL, leased_until = NULL
          WHERE status IN ('pending', 'authorizing', 'approved') AND purge_at > now()
            AND (status = 'approved' OR expires_at > now() OR leased_until > now())
            AND ($1 OR user_code = $2 OR substr(id, 1, 4) = $3)
          RETURNING id",
};

/// Which logins are to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one with this user code.
    UserCode(UserCode),
    /// The one with this reference: the first four bytes of its id.
    Reference([u8; 4]),
    /// All that have not been delivered, denied or expired.
    AllPending,
}

impl Store {
    /// Ends logins that are under way, approved ones too as long as their terminals have not come; says which.
    pub async fn revoke(&self, which: Which) -> Result<Vec<GrantId>, StoreError> {
        let (all, code, reference) = match &which {
            Which::UserCode(code) => (false, Some(code.letters()), None),
            Which::Reference(reference) => (false, None, Some(reference.as_slice())),
            Which::AllPending => (true, None, None),
        };
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&all, Type::BOOL), (&code, Type::TEXT), (&reference, Type::BYTEA)];
        let rows = self.link.rows(REVOKE, &parameters, PATIENCE).await?;
        rows.iter().map(|row| get_bytes(row, "id").map(GrantId::from_bytes)).collect()
    }
}
