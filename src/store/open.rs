//! Opens grants, and what `check` needs to know of one that it has opened.

use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::types::Type;

use crate::db::{DatabaseError, Parameter, Statement};
use crate::grant::{ClientId, DeviceCode, GrantId, SealingKey, UserCode, VerifierSalt};
use crate::store::{PAGE_TIMEOUT, RowExt as _, Store};

/// The CLI does not retry, so an opening waits as long as it can.
const TIMEOUT: Duration = Duration::from_secs(8);
/// A user code that is in use needs another draw, which is rare even with a million pending grants.
const MAX_DRAWS: usize = 8;

/// Fails if the user code is in use, or if an earlier attempt inserted the row and its answer was lost. Both need new codes, and
/// are rare: `ON CONFLICT DO NOTHING` would look each code up before the insertion.
const OPEN: Statement = Statement {
    name: "open",
    sql: "INSERT INTO device_requests
              (id, user_code, sealing_key, verifier_salt, requester, client_id, interval_seconds, expires_at)
          VALUES ($1, $2, $3, $4, $5, $6, $7, now() + $8 * interval '1 second')",
};

const REQUESTER: Statement =
    Statement { name: "requester", sql: "SELECT requester FROM device_requests WHERE id = $1" };

const DELETE: Statement = Statement { name: "delete", sql: "DELETE FROM device_requests WHERE id = $1" };

#[derive(Debug, Clone)]
pub struct NewGrant {
    pub requester: Option<IpAddr>,
    pub client_id: Option<ClientId>,
    /// The announced interval between two polls.
    pub interval: Duration,
}

impl Store {
    /// Draws another user code if one is in use.
    pub async fn open(&self, new: &NewGrant) -> Result<(DeviceCode, UserCode), DatabaseError> {
        let (interval, ttl) = (i16::try_from(new.interval.as_secs()).unwrap_or(i16::MAX), self.ttl.as_secs_f64());
        for _ in 0..MAX_DRAWS {
            let (device_code, user_code) = (DeviceCode::random(), UserCode::random());
            let (id, key, salt) = (device_code.grant_id(), SealingKey::of(&device_code), VerifierSalt::random());
            let parameters: [Parameter<'_>; 8] = [
                (&id, Type::BYTEA),
                (&user_code, Type::TEXT),
                (&key, Type::BYTEA),
                (&salt, Type::BYTEA),
                (&new.requester, Type::INET),
                (&new.client_id, Type::TEXT),
                (&interval, Type::INT2),
                (&ttl, Type::FLOAT8),
            ];
            match self.database.rows(OPEN, &parameters, TIMEOUT).await {
                Err(DatabaseError::Duplicate) => {}
                opened => return opened.map(|_| (device_code, user_code)),
            }
        }
        Err(DatabaseError::Refused)
    }

    /// The address that a grant was opened from; the outer `None` if there is no such grant.
    pub async fn find_requester(&self, id: GrantId) -> Result<Option<Option<IpAddr>>, DatabaseError> {
        let rows = self.database.rows(REQUESTER, &[(&id, Type::BYTEA)], PAGE_TIMEOUT).await?;
        rows.first().map(|row| row.field("requester")).transpose()
    }

    /// Deletes a grant that nobody waits for.
    pub async fn delete(&self, id: GrantId) -> Result<(), DatabaseError> {
        self.database.rows(DELETE, &[(&id, Type::BYTEA)], PAGE_TIMEOUT).await.map(drop)
    }
}
