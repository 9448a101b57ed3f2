//! Opening grants: `POST /device/code`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_postgres::types::Type;

use crate::grant::{DeviceCode, GrantId, SealingKey, UserCode};
use crate::metrics::BatchMetrics;
use crate::store::batcher::Batcher;
use crate::store::{Link, Statement, Store, StoreError};

/// How long a terminal is kept waiting for Postgres before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(8);
/// Each clash of user codes needs another one; a clash is rare even with a million of them pending.
const DRAWS: usize = 8;

/// What the database keeps of a grant that is to be opened.
#[derive(Debug, Clone)]
pub(super) struct NewGrant {
    /// The digest of the device code.
    pub(super) id: GrantId,
    /// Drawn at random; may clash with one that is in use.
    pub(super) user_code: UserCode,
    /// What the token will be sealed to.
    pub(super) sealing_key: SealingKey,
    /// Where the login was started from, where that is known.
    pub(super) requester: Option<IpAddr>,
}

/// What is not returned was not opened by this statement: its user code is in use, or the answer to
/// an earlier attempt was lost and the row that it left is nobody's. Either way a new draw helps.
pub(super) const OPEN: Statement = Statement {
    name: "open",
    sql: "INSERT INTO device_requests (id, user_code, sealing_key, requester, expires_at, purge_at)
          SELECT id, user_code, sealing_key, requester,
                 now() + make_interval(secs => $5), now() + make_interval(secs => $5 + 60)
          FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::text[]) AS new (id, user_code, sealing_key, requester)
          ON CONFLICT DO NOTHING
          RETURNING id",
};

impl Store {
    /// Opens a grant and answers with its two codes; retries with a new user code on a clash.
    pub async fn open(&self, requester: Option<IpAddr>) -> Result<(DeviceCode, UserCode), StoreError> {
        for _ in 0..DRAWS {
            let (device_code, user_code) = (DeviceCode::random(), UserCode::random());
            let opened = self
                .openings
                .ask(
                    NewGrant {
                        id: device_code.grant_id(),
                        user_code,
                        sealing_key: SealingKey::of(&device_code),
                        requester,
                    },
                    PATIENCE,
                )
                .await?;
            if opened {
                return Ok((device_code, user_code));
            }
        }
        Err(StoreError::Refused)
    }
}

pub(super) fn batcher(
    link: Arc<Link>,
    ttl: Duration,
    batches: BatchMetrics,
    runtime: &Handle,
) -> Batcher<NewGrant, bool> {
    let ttl = ttl.as_secs_f64();
    Batcher::start(runtime, move |grants: Vec<NewGrant>| {
        batches.sent(OPEN.name, grants.len());
        let link = Arc::clone(&link);
        async move {
            let ids: Vec<&[u8]> = grants.iter().map(|grant| grant.id.as_bytes().as_slice()).collect();
            let codes: Vec<&str> = grants.iter().map(|grant| grant.user_code.letters()).collect();
            let keys: Vec<&[u8]> = grants.iter().map(|grant| grant.sealing_key.as_bytes().as_slice()).collect();
            let requesters: Vec<Option<String>> =
                grants.iter().map(|grant| grant.requester.map(|address| address.to_string())).collect();
            let rows = link
                .rows(
                    OPEN,
                    &[
                        (&ids, Type::BYTEA_ARRAY),
                        (&codes, Type::TEXT_ARRAY),
                        (&keys, Type::BYTEA_ARRAY),
                        (&requesters, Type::TEXT_ARRAY),
                        (&ttl, Type::FLOAT8),
                    ],
                    PATIENCE,
                )
                .await?;
            let opened: std::collections::HashSet<&[u8]> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
            Ok(ids.iter().map(|id| opened.contains(id)).collect())
        }
    })
}
