//! Brings the schema up to date, however many replicas start at once.
//!
//! One transaction under a transaction-level advisory lock, so it works through a transaction pooler.

use std::time::Duration;

use deadpool_postgres::{Pool, Transaction};
use tokio::time::timeout;
use tokio_postgres::types::Type;

use crate::db::error::AttemptError;
use crate::secret::Digest;

/// Longer than the lock timeout in [`BEGIN`].
const TIMEOUT: Duration = Duration::from_secs(40);

/// In the order of their versions. A file that was released never changes.
const MIGRATIONS: &[(i32, &str)] = &[
    (NODE_SERVER, include_str!("../../migrations/0000_node_server.sql")),
    (1, include_str!("../../migrations/0001_device_requests.sql")),
    (2, include_str!("../../migrations/0002_guess_counters.sql")),
    (3, include_str!("../../migrations/0003_revoked.sql")),
    (4, include_str!("../../migrations/0004_row_mac.sql")),
    (5, include_str!("../../migrations/0005_client_id.sql")),
    (6, include_str!("../../migrations/0006_registered_clients.sql")),
    (7, include_str!("../../migrations/0007_deliveries.sql")),
    (8, include_str!("../../migrations/0008_confirmed_at.sql")),
    (9, include_str!("../../migrations/0009_confirmed_at_index.sql")),
];

/// The version that is only recorded if there is no table of the Node server.
const NODE_SERVER: i32 = 0;
const NODE_SERVERS_TABLE: &str = "
    SELECT FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = 'device_requests' AND column_name = 'device_code'";

/// The lock's key is `postiz` in ASCII, so it does not collide with another application's.
const BEGIN: &str = "
    SET LOCAL lock_timeout = '30s';
    SELECT pg_advisory_xact_lock(123623980689786);
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    int4        PRIMARY KEY,
        -- SHA-256 of the migration's text.
        digest     bytea       NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    );";

/// All statements of all replicas wait behind a migration that waits for a table. A backup keeps it waiting until it ends.
const LOCK_TABLES_BRIEFLY: &str = "SET LOCAL lock_timeout = '500ms'";

/// Different in every database.
pub(super) const SELF_CHECK_KEY: &str = "SELECT key FROM server_keys WHERE name = 'self_check'";

/// Applies what is missing, and returns the versions that it applied.
pub(super) async fn apply(pool: &Pool) -> Result<Vec<i32>, AttemptError> {
    let applied = async {
        let mut connection = pool.get().await.map_err(AttemptError::Pool)?;
        let transaction = connection.transaction().await.map_err(AttemptError::Statement)?;
        let applied = apply_missing(&transaction).await.map_err(AttemptError::Statement)?;
        transaction.commit().await.map_err(AttemptError::Statement)?;
        Ok(applied)
    };
    timeout(TIMEOUT, applied).await.unwrap_or(Err(AttemptError::Timeout))
}

async fn apply_missing(transaction: &Transaction<'_>) -> Result<Vec<i32>, tokio_postgres::Error> {
    execute(transaction, BEGIN).await?;
    let rows = transaction.query_typed("SELECT version FROM schema_migrations", &[]).await?;
    let present: Vec<i32> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let missing = MIGRATIONS.iter().filter(|(version, _)| !present.contains(version));
    transaction.batch_execute(LOCK_TABLES_BRIEFLY).await?;
    let mut applied = Vec::new();
    for (version, sql) in missing {
        if *version != NODE_SERVER || !transaction.query_typed(NODE_SERVERS_TABLE, &[]).await?.is_empty() {
            execute(transaction, sql).await?;
        }
        let digest = Digest::of(sql.as_bytes());
        transaction
            .query_typed(
                "INSERT INTO schema_migrations (version, digest) VALUES ($1, $2)",
                &[(version, Type::INT4), (&digest.as_bytes().as_slice(), Type::BYTEA)],
            )
            .await?;
        applied.push(*version);
    }
    Ok(applied)
}

/// One statement after another: Citus takes no definition beside another one.
async fn execute(transaction: &Transaction<'_>, sql: &str) -> Result<(), tokio_postgres::Error> {
    for statement in statements(sql) {
        transaction.batch_execute(statement).await?;
    }
    Ok(())
}

/// Each ends with a line that ends with `;`.
fn statements(sql: &str) -> impl Iterator<Item = &str> {
    sql.split_inclusive(";\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_taken_apart_into_its_statements() {
        let sql = "-- Three; and a comment.\nSELECT 1;\nSELECT 2;\n\nSELECT\n    3;\n";
        let expected = ["-- Three; and a comment.\nSELECT 1;\n", "SELECT 2;\n", "\nSELECT\n    3;\n"];
        assert_eq!(statements(sql).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn each_migration_can_be_taken_apart() {
        for (version, sql) in MIGRATIONS {
            assert!(sql.ends_with(";\n"), "{version}");
            // Statements in a body end like others. Not every engine has PL/pgSQL, anyway.
            assert!(!sql.contains("$$"), "{version}");
        }
    }
}
