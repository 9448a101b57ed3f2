//! Named statements: PostgreSQL parses and plans each once for a connection, which is half of its work for a login.
//!
//! Only where each connection has a server process of its own. A pooler in transaction mode may send a name to a process
//! that does not know it, or that knows another replica's statement by it. There, statements are unnamed.

use std::error::Error as _;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::ClientWrapper;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};
use tracing::info;

use crate::db::direct::is_direct;
use crate::db::statement::{Parameters, Statement};

/// Each statement is planned once, and its plan is kept while the table fills and empties. A plan that was made for an empty
/// table would read the whole of it for as long as the connection lives, if sequential scans were on: each statement has an
/// index. Left to itself, PostgreSQL plans statements with small arrays each time, because it expects larger ones.
const SETTINGS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off";

pub(super) struct Named {
    is_on: AtomicBool,
}

impl Named {
    pub(super) fn new() -> Self {
        Self { is_on: AtomicBool::new(true) }
    }

    /// Sees whether a new connection can have named statements, and turns them off for good if not.
    pub(super) async fn connected(&self, client: &Client) -> Result<(), Error> {
        if !self.is_on() {
            return Ok(());
        }
        if !is_direct(client).await? {
            self.turn_off("a pooler stands before the database");
            return Ok(());
        }
        match client.batch_execute(SETTINGS).await {
            Err(error) if error.as_db_error().is_some() => {
                self.turn_off("the database does not know PostgreSQL's settings for plans");
                Ok(())
            }
            set => set,
        }
    }

    pub(super) async fn query(
        &self,
        connection: &ClientWrapper,
        Statement { sql, .. }: Statement,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        if self.is_on() {
            let (values, types): (Vec<_>, Vec<_>) = parameters.iter().cloned().unzip();
            let mut answer = query(connection, sql, &values, &types).await;
            if answer.as_ref().is_err_and(is_stale_plan) {
                connection.statement_cache.remove(sql, &types);
                answer = query(connection, sql, &values, &types).await;
            }
            if !answer.as_ref().is_err_and(is_of_a_pooler) {
                return answer;
            }
            self.turn_off("a pooler that announces PostgreSQL's own processes stands before the database");
            if answer.as_ref().is_err_and(|error| error.as_db_error().is_none()) {
                // The connection has lost the order of its answers. The caller repeats the statement on another one.
                return answer;
            }
        }
        connection.query_typed(sql, parameters).await
    }

    fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    fn turn_off(&self, reason: &'static str) {
        if self.is_on.swap(false, Ordering::Relaxed) {
            info!(reason, "statements are sent without names, so that each is planned anew");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "only on connections with a server process of their own")]
async fn query(
    connection: &ClientWrapper,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
    types: &[Type],
) -> Result<Vec<Row>, Error> {
    let statement = connection.prepare_typed_cached(sql, types).await?;
    connection.query(&statement, values).await
}

/// A migration has changed what the statement answers with.
fn is_stale_plan(error: &Error) -> bool {
    error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED)
}

/// The name is unknown, in use, or another statement's; or the answers are not those of this connection's statements.
fn is_of_a_pooler(error: &Error) -> bool {
    match error.code() {
        Some(code) => [
            SqlState::INVALID_SQL_STATEMENT_NAME,
            SqlState::DUPLICATE_PSTATEMENT,
            SqlState::PROTOCOL_VIOLATION,
            SqlState::INVALID_BINARY_REPRESENTATION,
        ]
        .contains(code),
        // Not an error of the server or the network, but the driver's: the answer is another statement's.
        None => !error.is_closed() && error.source().is_none_or(|source| !source.is::<io::Error>()),
    }
}
