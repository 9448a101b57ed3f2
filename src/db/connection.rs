//! One connection, and how a statement is sent on it.
//!
//! A connection with a server process of its own keeps each statement by a name: PostgreSQL parses and plans it once, which is
//! half of its work for a login. A pooler may send a name to a process that does not know it, or that knows another replica's
//! statement by it, so one sign of a pooler turns names off for good.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, Error, Row};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::info;

use crate::db::direct::{announced_process, cancel_request, send};
use crate::db::error::AttemptError;
use crate::db::rows::{Parameters, Statement};

const FACTS: &str = "SELECT pg_backend_pid(), current_setting('transaction_read_only') = 'off'";

/// Each statement is planned once, and its plan is kept while the table fills and empties. A plan that was made for an empty
/// table would read the whole of it for as long as the connection lives, if sequential scans were on: each statement has an
/// index. Left to itself, PostgreSQL plans statements with small arrays each time, because it expects larger ones.
///
/// A statement that the client gives up would go on in its process, so PostgreSQL ends it before.
const SETTINGS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off;
    SET statement_timeout = 1800; SET default_transaction_isolation = 'read committed'";

/// The server does not know a statement's name, or knows another statement by it: a pooler has led to another process.
const NAME_ERRORS: [&SqlState; 2] = [&SqlState::INVALID_SQL_STATEMENT_NAME, &SqlState::DUPLICATE_PSTATEMENT];

/// How long a statement that was cancelled may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// Longer: PgBouncer 1.18 ends itself if the request's connection is closed before it is carried out.
const CANCEL_TIMEOUT: Duration = Duration::from_mins(1);

pub(super) struct Connection {
    /// With its prepared statements. Its task ends with it: on one that hangs, it would wait for the last answer.
    pub(super) client: ClientWrapper,
    /// As of its opening.
    pub(super) accepts_writes: bool,
    pub(super) generation: u64,
    /// `None` for a Unix socket.
    address: Option<SocketAddr>,
    /// Shared by all connections.
    names: Arc<AtomicBool>,
}

impl Connection {
    /// Opens one to the only address of `to`.
    pub(super) async fn open(
        to: &Config,
        tls: MakeRustlsConnect,
        names: &Arc<AtomicBool>,
    ) -> Result<Self, AttemptError> {
        let (client, connection) = to.connect(tls).await?;
        // What breaks a connection is reported by the statement on it.
        let client = ClientWrapper::new(client, tokio::spawn(async { drop(connection.await) }));
        let (process, accepts_writes) = facts(&client).await?;
        // Whether all its statements run in one server process, which takes the settings: an engine that only speaks like
        // PostgreSQL refuses them.
        let is_direct = names.load(Ordering::Relaxed)
            && announced_process(&client).await.is_ok_and(|announced| announced == process)
            && client.batch_execute(SETTINGS).await.is_ok();
        let address = to.get_hostaddrs().first().zip(to.get_ports().first()).map(|(ip, port)| (*ip, *port).into());
        let new = Self { client, accepts_writes, generation: 0, names: Arc::clone(names), address };
        if !is_direct {
            new.turn_names_off();
        }
        Ok(new)
    }

    /// Asks now. A standby accepts no writes, nor do some databases whose disk is full.
    pub(super) async fn is_writable(&self) -> Result<bool, Error> {
        Ok(facts(&self.client).await?.1)
    }

    pub(super) async fn query(&self, statement: Statement, parameters: Parameters<'_>) -> Result<Vec<Row>, Error> {
        let sql = statement.sql;
        if self.names.load(Ordering::Relaxed) {
            match self.query_named(sql, parameters).await {
                Err(error) if error.code().is_some_and(|code| NAME_ERRORS.contains(&code)) => {
                    self.turn_names_off();
                }
                answer => return answer,
            }
        }
        self.client.query_typed(sql, parameters).await
    }

    /// Asks the server to end the statement that was given up, and returns whether it has ended.
    pub(super) async fn end_statement(&self) -> bool {
        if let (Some(address), Ok(request)) = (self.address, cancel_request(&self.client).await) {
            tokio::spawn(timeout(CANCEL_TIMEOUT, send(request, address)));
        }
        timeout(END_TIMEOUT, self.client.batch_execute("")).await.is_ok_and(|answer| answer.is_ok())
    }

    #[expect(clippy::disallowed_methods, reason = "only on a connection with a server process of its own")]
    async fn query_named(&self, sql: &'static str, parameters: Parameters<'_>) -> Result<Vec<Row>, Error> {
        let (values, types): (Vec<_>, Vec<Type>) = parameters.iter().cloned().unzip();
        let prepared = self.client.prepare_typed_cached(sql, &types).await?;
        self.client.query(&prepared, &values).await
    }

    fn turn_names_off(&self) {
        if self.names.swap(false, Ordering::Relaxed) {
            info!("a pooler stands before the database: statements have no names, so that each is planned anew");
        }
    }
}

/// The process that answers, and whether it accepts writes.
async fn facts(client: &Client) -> Result<(i32, bool), Error> {
    let facts = client.query_typed_one(FACTS, &[]).await?;
    Ok((facts.try_get(0)?, facts.try_get(1)?))
}
