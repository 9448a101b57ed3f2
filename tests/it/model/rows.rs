//! What the database really holds: the rows, and the passing of time in them.

use std::collections::HashMap;

use postiz_auth_server::grant::{GrantId, Status};
use postiz_auth_server::secret::Digest;
use tokio_postgres::Client;

use super::expected::Expected;

#[allow(clippy::struct_excessive_bools, reason = "each is a column")]
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub status: String,
    pub expired: bool,
    pub due: bool,
    pub codes: Vec<Digest>,
    pub spent: bool,
    pub leased: bool,
    pub sealed: bool,
}

impl Row {
    /// The same from the model, with the codes' digests.
    pub fn of(expected: &Expected, codes: Vec<Digest>) -> Self {
        Self {
            status: expected.status.to_string(),
            expired: expected.expired,
            due: expected.due,
            codes,
            spent: expected.spent,
            leased: expected.lease.is_some() && !expected.lease_over,
            sealed: matches!(expected.status, Status::Approved | Status::Delivered),
        }
    }
}

/// All rows by their id, and all that stands in them as text; bytes are in hex.
pub async fn read(client: &Client) -> (HashMap<GrantId, Row>, String) {
    let sql = "SELECT id, status, expires_at <= now() AS expired,
                      expires_at <= now() - interval '60 seconds' AND coalesce(leased_until <= now(), true)
                      AND coalesce(greatest(settled_at, delivered_at) <= now() - interval '60 seconds', true) AS due, codes, code_spent,
                      coalesce(leased_until > now(), false) AS leased, sealed_token IS NOT NULL AS sealed,
                      grants::text AS text
               FROM device_requests AS grants";
    let mut text = String::new();
    let rows = client.query_typed(sql, &[]).await.unwrap();
    let digest = |bytes: &Vec<u8>| Digest::from_bytes(bytes.as_slice().try_into().unwrap());
    let rows = rows.iter().map(|row| {
        text += row.get("text");
        let id = GrantId::from_bytes(row.get::<_, &[u8]>("id").try_into().unwrap());
        let codes: Vec<Vec<u8>> = row.get("codes");
        let row = Row {
            status: row.get("status"),
            expired: row.get("expired"),
            due: row.get("due"),
            codes: codes.iter().map(digest).collect(),
            spent: row.get("code_spent"),
            leased: row.get("leased"),
            sealed: row.get("sealed"),
        };
        (id, row)
    });
    let rows = rows.collect();
    (rows, text)
}

/// Time passes for one login: its lease, its time to be confirmed, its last minute.
#[derive(Debug, Clone, Copy)]
pub enum Passes {
    Lease,
    Expiry,
    LastMinute,
}

pub async fn pass(client: &Client, id: GrantId, what: Passes) {
    let id: String = id.as_bytes().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let lease = "leased_until = CASE WHEN leased_until IS NOT NULL THEN now() END";
    let set = match what {
        Passes::Lease => lease.to_owned(),
        Passes::Expiry => "expires_at = least(expires_at, now())".to_owned(),
        Passes::LastMinute => {
            let past = "now() - interval '61 seconds'";
            format!(
                "expires_at = {past}, settled_at = CASE WHEN settled_at IS NOT NULL THEN {past} END,
                 delivered_at = CASE WHEN delivered_at IS NOT NULL THEN {past} END, {lease}"
            )
        }
    };
    client.batch_execute(&format!("UPDATE device_requests SET {set} WHERE id = '\\x{id}'")).await.unwrap();
}
