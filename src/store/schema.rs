//! The schema, brought up to date at start by however many replicas at once.
//!
//! One transaction under a transaction-level advisory lock, so it works through a transaction pooler.

use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool_postgres::Transaction;
use tokio::time::timeout;
use tokio_postgres::types::Type;
use tracing::{info, warn};

use crate::secret::Digest;
use crate::store::error::AttemptError;
use crate::store::{Store, StoreError};

/// Longer than the lock's own time limit below.
const LIMIT: Duration = Duration::from_secs(40);

/// In the order of their versions; a file that was released is never changed.
const MIGRATIONS: &[(i32, &str)] = &[
    (1, include_str!("../../migrations/0001_device_requests.sql")),
    (2, include_str!("../../migrations/0002_guess_counters.sql")),
];

/// The key is `postiz` in ASCII: no other application's advisory lock is in the way.
const BEGIN: &str = "SET LOCAL lock_timeout = '30s';
    SELECT pg_advisory_xact_lock(123623980689786);
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    integer     PRIMARY KEY,
        -- SHA-256 of the migration's text.
        digest     bytea       NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    );";

/// The Node server's table has the device code itself as its key; its logins live 15 minutes. It
/// goes, with the codes and tokens that it holds in plain text.
const DROP_NODE_TABLE: &str = "DO $$ BEGIN
    IF EXISTS (SELECT 1 FROM information_schema.columns
               WHERE table_schema = current_schema() AND table_name = 'device_requests'
                 AND column_name = 'device_code') THEN
        DROP TABLE device_requests;
        RAISE NOTICE 'replaced the table of the Node server';
    END IF;
END $$;";

impl Store {
    /// Brings the schema up to date; once that is done it costs nothing to ask again.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        if self.link.migrated.load(Ordering::Relaxed) {
            return Ok(());
        }
        match timeout(LIMIT, self.apply()).await.unwrap_or(Err(AttemptError::Timeout)) {
            Ok(applied) => {
                for version in applied {
                    info!(version, "the database schema was brought up to date");
                }
                self.link.migrated.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) if error.is_transient() => {
                self.link.note_failure("migrate", &error);
                Err(StoreError::Unreachable)
            }
            Err(error) => {
                warn!(error = error.chain(), "the database schema could not be brought up to date; trying again");
                Err(StoreError::Refused)
            }
        }
    }

    async fn apply(&self) -> Result<Vec<i32>, AttemptError> {
        let mut connection = self.link.pool.get().await.map_err(AttemptError::Pool)?;
        let transaction = connection.transaction().await.map_err(AttemptError::Statement)?;
        let applied = apply_missing(&transaction).await.map_err(AttemptError::Statement)?;
        transaction.commit().await.map_err(AttemptError::Statement)?;
        Ok(applied)
    }
}

async fn apply_missing(transaction: &Transaction<'_>) -> Result<Vec<i32>, tokio_postgres::Error> {
    transaction.batch_execute(BEGIN).await?;
    let rows = transaction.query_typed("SELECT version FROM schema_migrations", &[]).await?;
    let present: Vec<i32> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let missing = MIGRATIONS.iter().filter(|(version, _)| !present.contains(version));
    let mut applied = Vec::new();
    for (version, sql) in missing {
        if *version == 1 {
            transaction.batch_execute(DROP_NODE_TABLE).await?;
        }
        transaction.batch_execute(sql).await?;
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
