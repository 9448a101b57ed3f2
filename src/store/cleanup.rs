//! Deletes finished rows, in batches.

use strum::EnumString;
use tokio_postgres::types::Type;

use crate::db::{DatabaseError, Statement};
use crate::grant::GrantId;
use crate::store::{PAGE_TIMEOUT, RowExt as _, Store, word};

/// Only for the two statements below.
macro_rules! delete_grants {
    ($which:literal) => {
        concat!(
            "DELETE FROM device_requests WHERE id IN (SELECT id FROM device_requests WHERE ",
            $which,
            " LIMIT $1 FOR UPDATE SKIP LOCKED)
              RETURNING id, CASE status WHEN 'approved' THEN 'undelivered' WHEN 'revoked' THEN 'revoked'
                                        WHEN 'denied' THEN 'finished' WHEN 'delivered' THEN 'finished'
                                        ELSE 'expired' END AS outcome"
        )
    };
}

/// A minute after the expiry, so that the terminal's last poll gets the reason, and at least a minute after an approval or a
/// delivery. `SKIP LOCKED` passes over rows that a step or another replica's cleanup is changing.
const DELETE_EXPIRED: Statement = Statement {
    name: "delete_expired",
    sql: delete_grants!(
        "expires_at <= now() - interval '60 seconds' AND coalesce(leased_until <= now(), true)
         AND coalesce(greatest(settled_at, delivered_at) <= now() - interval '60 seconds', true) ORDER BY expires_at"
    ),
};

/// Rows that are finished before they expire.
const DELETE_FINISHED: Statement = Statement {
    name: "delete_finished",
    sql: delete_grants!(
        "settled_at <= now() - interval '60 seconds'
         AND (status = 'revoked' OR status = 'delivered' AND delivered_at <= now() - interval '60 seconds')
         ORDER BY settled_at"
    ),
};

const DELETE_COUNTERS: Statement = Statement {
    name: "delete_counters",
    sql: "DELETE FROM postiz_auth_wrong_codes WHERE client IN (
              SELECT client FROM postiz_auth_wrong_codes WHERE ends_at <= now()
              ORDER BY ends_at LIMIT $1 FOR UPDATE SKIP LOCKED
          )
          RETURNING 1",
};

/// Why a finished grant was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum DeletedBecause {
    Expired,
    Revoked,
    /// Approved, and its terminal did not fetch the token.
    Undelivered,
    /// Denied or delivered.
    Finished,
}

impl Store {
    /// Deletes at most `max` finished grants of each kind.
    pub async fn delete_grants(&self, max: i64) -> Result<Vec<(GrantId, DeletedBecause)>, DatabaseError> {
        let mut deleted = Vec::new();
        for statement in [DELETE_EXPIRED, DELETE_FINISHED] {
            for row in self.database.rows(statement, &[(&max, Type::INT8)], PAGE_TIMEOUT).await? {
                deleted.push((row.field("id")?, word(&row, "outcome")?));
            }
        }
        Ok(deleted)
    }

    /// Deletes at most `max` counters of wrong codes whose window is over, and returns their number.
    pub async fn delete_counters(&self, max: i64) -> Result<usize, DatabaseError> {
        Ok(self.database.rows(DELETE_COUNTERS, &[(&max, Type::INT8)], PAGE_TIMEOUT).await?.len())
    }
}
