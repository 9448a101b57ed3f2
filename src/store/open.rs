//! Opens grants: `POST /device/code`.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_postgres::types::Type;

use crate::db::{Batcher, Database, DatabaseError, RowExt as _, Statement};
use crate::grant::{ClientId, DeviceCode, FixedColumns, GrantId, SealingKey, UserCode};
use crate::metrics::BatchMetrics;
use crate::secret::LENGTH;
use crate::store::Store;
use crate::store::values::NewGrant;

/// After this the terminal gets `temporarily_unavailable`.
const TIMEOUT: Duration = Duration::from_secs(8);
/// A user code that is in use needs another draw, which is rare even with a million pending grants.
const MAX_DRAWS: usize = 8;

/// An id that is not returned was not opened: its user code is in use, or an earlier attempt inserted the row and its
/// answer was lost. Both need new codes.
pub(super) const OPEN: Statement = Statement {
    name: "open",
    sql: "INSERT INTO device_requests (id, user_code, sealing_key, requester, client_id, mac, expires_at, purge_at)
          SELECT id, user_code, sealing_key, requester, client_id, mac,
                 now() + $7 * interval '1 second', now() + ($7 + 60) * interval '1 second'
          FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::bytea[])
               AS new (id, user_code, sealing_key, requester, client_id, mac)
          ON CONFLICT DO NOTHING
          RETURNING id",
};

impl Store {
    /// Opens a grant; draws another user code if one is in use. Waits as long as it can on an overloaded replica: the CLI
    /// does not retry.
    pub async fn open(
        &self,
        requester: Option<IpAddr>,
        client_id: Option<ClientId>,
    ) -> Result<(DeviceCode, UserCode), DatabaseError> {
        let requester = requester.map(|address| address.to_string());
        for _ in 0..MAX_DRAWS {
            let (device_code, user_code) = (DeviceCode::random(), UserCode::random());
            let (id, sealing_key) = (device_code.grant_id(), SealingKey::of(&device_code));
            let columns = FixedColumns {
                id: &id,
                user_code: &user_code,
                sealing_key: &sealing_key,
                requester: requester.as_deref(),
            };
            let mac = self.row_key.as_ref().map(|key| key.mac(columns));
            let (requester, client_id) = (requester.clone(), client_id.clone());
            let grant = NewGrant { id, user_code, sealing_key, requester, client_id, mac };
            if self.openings.ask(grant, TIMEOUT).await? {
                return Ok((device_code, user_code));
            }
        }
        Err(DatabaseError::Refused)
    }
}

pub(super) fn batcher(
    database: Database,
    ttl: Duration,
    batches: BatchMetrics,
    runtime: &Handle,
) -> Batcher<NewGrant, bool> {
    let ttl = ttl.as_secs_f64();
    Batcher::start(runtime, move |grants: Vec<NewGrant>| {
        batches.sent(OPEN.name, grants.len());
        let database = database.clone();
        async move { insert(&database, ttl, &grants).await }
    })
}

async fn insert(database: &Database, ttl: f64, grants: &[NewGrant]) -> Result<Vec<bool>, DatabaseError> {
    let ids: Vec<_> = grants.iter().map(|grant| grant.id).collect();
    let user_codes: Vec<_> = grants.iter().map(|grant| grant.user_code).collect();
    let sealing_keys: Vec<_> = grants.iter().map(|grant| &grant.sealing_key).collect();
    let requesters: Vec<_> = grants.iter().map(|grant| grant.requester.as_deref()).collect();
    let client_ids: Vec<_> = grants.iter().map(|grant| grant.client_id.as_ref().map(ClientId::as_str)).collect();
    let macs: Vec<_> = grants.iter().map(|grant| grant.mac.as_ref().map(<[u8; LENGTH]>::as_slice)).collect();
    let rows = database
        .rows(
            OPEN,
            &[
                (&ids, Type::BYTEA_ARRAY),
                (&user_codes, Type::TEXT_ARRAY),
                (&sealing_keys, Type::BYTEA_ARRAY),
                (&requesters, Type::TEXT_ARRAY),
                (&client_ids, Type::TEXT_ARRAY),
                (&macs, Type::BYTEA_ARRAY),
                (&ttl, Type::FLOAT8),
            ],
            TIMEOUT,
        )
        .await?;
    let opened: HashSet<GrantId> = rows.iter().map(|row| row.field("id")).collect::<Result<_, _>>()?;
    Ok(ids.iter().map(|id| opened.contains(id)).collect())
}
