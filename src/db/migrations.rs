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
    (0, include_str!("../../migrations/0000_node_server.sql")),
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

/// The lock's key is `postiz` in ASCII, so it does not collide with another application's.
const BEGIN: &str = "
    SET LOCAL lock_timeout = '30s';
    SELECT pg_advisory_xact_lock(123623980689786);
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    integer     PRIMARY KEY,
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
        execute(transaction, sql).await?;
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

/// A statement ends with a line that ends with `;`, outside of a body in `$$`.
fn statements(sql: &str) -> impl Iterator<Item = &str> {
    let mut in_body = false;
    let mut ends = sql.split_inclusive('\n').scan(0, |end, line| {
        *end += line.len();
        Some((*end, line))
    });
    let mut begin = 0;
    std::iter::from_fn(move || {
        let (end, _) = ends.find(|(end, line)| {
            in_body ^= line.matches("$$").count() % 2 == 1;
            *end == sql.len() || (!in_body && line.trim_end().ends_with(';'))
        })?;
        let statement = &sql[begin..end];
        begin = end;
        Some(statement)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_taken_apart_into_its_statements() {
        let sql = "-- Two; and a body.\nDO $$ BEGIN\n    SELECT 1;\nEND $$;\nSELECT 2;\n\nSELECT\n    3;\n";
        let expected =
            ["-- Two; and a body.\nDO $$ BEGIN\n    SELECT 1;\nEND $$;\n", "SELECT 2;\n", "\nSELECT\n    3;\n"];
        assert_eq!(statements(sql).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nothing_of_a_migration_is_left_out() {
        for (version, sql) in MIGRATIONS {
            assert_eq!(statements(sql).collect::<String>(), *sql);
            let counted = statements(sql).count();
            assert_eq!(counted, sql.matches(";\n").count() - if *version == 0 { 3 } else { 0 }, "{version}");
        }
    }
}
