//! Opens connections, sends statements on them, and says what a failure means.
//!
//! The driver tries one address after the other, and waits for ever for one that accepts the connection and says nothing. Here,
//! each address of each host is tried [`NEXT_ADDRESS_DELAY`] after the one before, or when that one has failed, with a timeout
//! for its whole handshake. The first that accepts writes is kept, and tried first the next time if its name still has that
//! address.
//!
//! A connection with a server process of its own keeps each statement by a name: PostgreSQL parses and plans it once, which is
//! half of its work for a login. A pooler may send a name to a process that does not know it, or that knows another replica's
//! statement by it, so one sign of a pooler turns names off for good.
//!
//! Each failure has a meaning by its SQLSTATE. One without a SQLSTATE means that the connection broke.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_postgres::config::{Config, Host, SslMode as Negotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::info;

use crate::config::{DatabaseUrl, SslMode, is_private_address};
use crate::db::direct::{announced_process, cancel_request, send};
use crate::db::tls::{self, TlsError};
use crate::db::{DatabaseError, Parameters, Statement};
use crate::log::error_chain;

const NEXT_ADDRESS_DELAY: Duration = Duration::from_millis(300);
/// How long a statement that was cancelled may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// Longer: PgBouncer 1.18 ends itself if the request's connection is closed before it is carried out.
const CANCEL_TIMEOUT: Duration = Duration::from_mins(1);

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

#[derive(Clone)]
pub(super) struct Connector {
    database: DatabaseUrl,
    tls: MakeRustlsConnect,
    /// The address that accepted writes last.
    last: Arc<Mutex<Option<Config>>>,
    /// Whether statements have names.
    names: Arc<AtomicBool>,
    /// Connections from before are not used again.
    pub(super) discarded_at: watch::Sender<Instant>,
}

pub(super) struct Connection {
    /// With its prepared statements.
    pub(super) client: ClientWrapper,
    /// `None` for a Unix socket.
    address: Option<SocketAddr>,
}

impl Connector {
    pub(super) fn new(database: &DatabaseUrl) -> Result<Self, TlsError> {
        Ok(Self {
            tls: tls::connector(database)?,
            last: Arc::default(),
            names: Arc::new(AtomicBool::new(!database.pooled)),
            discarded_at: watch::Sender::new(Instant::now()),
            database: database.clone(),
        })
    }

    /// A caller that may give up calls it in a task of its own, so that the next one finds what was opened. A standby is only
    /// taken if no address accepts writes: it refuses each step of a login.
    pub(super) async fn open(&self) -> Result<Connection, AttemptError> {
        let (mut waiting, mut tries) = (self.addresses().await?.into_iter(), FuturesUnordered::new());
        let (mut standby, mut failure) = (None, AttemptError::NoAnswer("the host has no address".to_owned()));
        loop {
            tries.extend(waiting.next().map(|address| self.attempt(address)));
            match timeout(NEXT_ADDRESS_DELAY, tries.next()).await {
                Ok(Some((address, Ok((opened, true))))) => {
                    *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
                    return Ok(opened);
                }
                Ok(Some((_, Ok((opened, false))))) => standby = Some(opened),
                // The one that got further says best what is wrong.
                Ok(Some((_, Err(error)))) => {
                    if matches!(error, AttemptError::Driver(_)) || matches!(failure, AttemptError::NoAnswer(_)) {
                        failure = error;
                    }
                }
                Ok(None) => return standby.ok_or(failure),
                Err(_) => {}
            }
        }
    }

    /// Each address of each host, with all that the driver needs for it. The one that accepted writes last comes first.
    async fn addresses(&self) -> Result<Vec<Config>, AttemptError> {
        let found = join_all(self.database.hosts.iter().map(|(host, port)| self.addresses_of(host, *port))).await;
        let (mut addresses, mut failure) = (Vec::new(), "the host has no address".to_owned());
        for found in found {
            match found {
                Ok(found) => addresses.extend(found),
                Err(why) => failure = why,
            }
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.sort_by_key(|address| Some(address) != last.as_ref());
        if addresses.is_empty() { Err(AttemptError::NoAnswer(failure)) } else { Ok(addresses) }
    }

    async fn addresses_of(&self, host: &Host, port: u16) -> Result<Vec<Config>, String> {
        let mut config = self.database.config.clone();
        config.port(port);
        match host {
            Host::Unix(path) => Ok(vec![config.host_path(path).ssl_mode(Negotiation::Disable).clone()]),
            Host::Tcp(name) => match timeout(self.limit(), lookup_host((name.as_str(), port))).await {
                Ok(Ok(found)) => Ok(found.map(|found| self.at(config.clone().host(name), found.ip())).collect()),
                Ok(Err(error)) => Err(format!("{name} can't be resolved: {error}")),
                Err(late) => Err(format!("{name} can't be resolved: {late}")),
            },
        }
    }

    /// Without `sslmode`, a server on a network that strangers share must have TLS.
    fn at(&self, config: &mut Config, address: IpAddr) -> Config {
        let mode = match self.database.tls.mode {
            Some(SslMode::Disable) => Negotiation::Disable,
            Some(SslMode::Prefer) => Negotiation::Prefer,
            None if is_private_address(address) => Negotiation::Prefer,
            None | Some(SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => Negotiation::Require,
        };
        config.hostaddr(address).ssl_mode(mode).clone()
    }

    async fn attempt(&self, address: Config) -> (Config, Result<(Connection, bool), AttemptError>) {
        let limit = self.limit();
        let name = address.get_hostaddrs().first().map_or_else(|| "the socket".to_owned(), IpAddr::to_string);
        let late = |_| Err(AttemptError::NoAnswer(format!("no answer from {name} within {limit:?}")));
        let opened = timeout(limit, self.begin(&address)).await.unwrap_or_else(late);
        (address, opened)
    }

    /// For one address, TLS and the login included.
    fn limit(&self) -> Duration {
        self.database.config.get_connect_timeout().copied().unwrap_or_default()
    }

    /// Opens one, and asks whether it accepts writes.
    async fn begin(&self, address: &Config) -> Result<(Connection, bool), AttemptError> {
        let (client, connection) = address.connect(self.tls.clone()).await?;
        // What breaks a connection is reported by the statement on it. On one that hangs, the task would wait for the last
        // answer, so it ends with its client.
        let client = ClientWrapper::new(client, tokio::spawn(async { drop(connection.await) }));
        let (process, accepts_writes) = facts(&client).await?;
        if self.has_names() && announced_process(&client).await? != process {
            self.turn_names_off("a pooler stands before the database");
        } else if self.has_names()
            && let Err(error) = client.batch_execute(SETTINGS).await
        {
            let error = AttemptError::from(error);
            if error.meaning() != DatabaseError::Refused {
                return Err(error);
            }
            self.turn_names_off("the database refuses a setting of PostgreSQL's");
        }
        let address = address.get_hostaddrs().first().zip(address.get_ports().first());
        Ok((Connection { client, address: address.map(|(ip, port)| (*ip, *port).into()) }, accepts_writes))
    }

    fn turn_names_off(&self, reason: &'static str) {
        if self.names.swap(false, Ordering::Relaxed) {
            info!(reason, "statements are sent without names, so that each is planned anew");
        }
    }

    /// `false` behind a pooler.
    pub(super) fn has_names(&self) -> bool {
        self.names.load(Ordering::Relaxed)
    }

    pub(super) async fn query(
        &self,
        client: &ClientWrapper,
        statement: Statement,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        if self.has_names() {
            match query_named(client, statement.sql, parameters).await {
                Err(error) if error.code().is_some_and(|code| NAME_ERRORS.contains(&code)) => {
                    self.turn_names_off(
                        "a pooler that announces PostgreSQL's own processes stands before the database",
                    );
                }
                answer => return answer,
            }
        }
        client.query_typed(statement.sql, parameters).await
    }
}

impl Connection {
    /// Asks the server to end the statement that was given up, and returns whether it has ended.
    pub(super) async fn end_statement(&self) -> bool {
        if let (Some(address), Ok(request)) = (self.address, cancel_request(&self.client).await) {
            tokio::spawn(timeout(CANCEL_TIMEOUT, send(request, address)));
        }
        timeout(END_TIMEOUT, self.client.batch_execute("")).await.is_ok_and(|answer| answer.is_ok())
    }
}

impl Manager for Connector {
    type Type = Connection;
    type Error = AttemptError;

    async fn create(&self) -> Result<Connection, AttemptError> {
        self.open().await
    }

    /// Sends nothing: a round trip would double the cost of each statement, and a broken connection shows by its error.
    async fn recycle(&self, connection: &mut Connection, metrics: &Metrics) -> RecycleResult<AttemptError> {
        if connection.client.is_closed() || metrics.created < self.discarded_at.borrow().into_std() {
            return Err(RecycleError::message("closed or discarded"));
        }
        Ok(())
    }
}

/// The process that answers, and whether it accepts writes: a standby does not, nor do some databases whose disk is full.
pub(super) async fn facts(client: &Client) -> Result<(i32, bool), Error> {
    let facts = client.query_typed_one(FACTS, &[]).await?;
    Ok((facts.try_get(0)?, facts.try_get(1)?))
}

#[expect(clippy::disallowed_methods, reason = "only on a connection with a server process of its own")]
async fn query_named(client: &ClientWrapper, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, Error> {
    let (values, types): (Vec<_>, Vec<Type>) = parameters.iter().cloned().unzip();
    let prepared = client.prepare_typed_cached(sql, &types).await?;
    client.query(&prepared, &values).await
}

/// Why one attempt, or its connection, failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    /// Other statements, or a lock, took the time.
    #[error("no connection or no answer before the deadline")]
    Late,
    /// There is no answer, or no server to ask.
    #[error("{0}")]
    NoAnswer(String),
    #[error("{}", describe(.0))]
    Driver(#[from] Error),
}

impl AttemptError {
    pub(super) fn meaning(&self) -> DatabaseError {
        match self {
            Self::Late => DatabaseError::Temporary,
            Self::NoAnswer(_) => DatabaseError::Unavailable,
            // Without a code, the error is not the server's: the connection broke.
            Self::Driver(error) => error.code().map_or(DatabaseError::Unavailable, |code| meaning(code.code())),
        }
    }
}

/// Codes and their classes are those of PostgreSQL's Appendix A.
fn meaning(code: &str) -> DatabaseError {
    match code {
        "42P01" | "42703" => DatabaseError::NoTables,
        // A full disk, or no connection left, is not over with another connection.
        "57014" | "55P03" | "40001" | "40P01" | "53100" | "53200" | "53300" | "53400" => DatabaseError::Temporary,
        // 0A000: the table was changed, and its rows no longer fit the plan that this connection keeps.
        // XX000: poolers of providers report by it that they have no connection.
        "0A000" | "25006" | "3D000" | "XX000" => DatabaseError::Unavailable,
        "23505" => DatabaseError::Duplicate,
        _ if ["08", "28", "57", "58"].iter().any(|class| code.starts_with(class)) => DatabaseError::Unavailable,
        _ => DatabaseError::Refused,
    }
}

/// Without the details of the server's errors, which hold the values of rows.
fn describe(error: &Error) -> String {
    match error.as_db_error().map(|error| (error.code().code(), error.message())) {
        Some((code, message)) => format!("{message} ({code})"),
        None if has_no_tls(error) => "the server has no TLS; sslmode=prefer connects without it".to_owned(),
        None => error_chain(error),
    }
}

/// The driver has only a sentence for it.
pub(super) fn has_no_tls(error: &Error) -> bool {
    error_chain(error).contains("server does not support TLS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_meaning() {
        for (codes, expected) in [
            ("57P01 57P03 08006 58000 XX000 3D000 28P01 0A000 25006", DatabaseError::Unavailable),
            ("57014 55P03 40001 40P01 53100 53300", DatabaseError::Temporary),
            ("42P01 42703", DatabaseError::NoTables),
            ("23505", DatabaseError::Duplicate),
            ("42501 22P02 XX001 5", DatabaseError::Refused),
        ] {
            for code in codes.split(' ') {
                assert_eq!(meaning(code), expected, "{code}");
            }
        }
    }

    fn connector(rest: &str) -> Connector {
        Connector::new(&DatabaseUrl::parse(&format!("postgres://auth:secret@{rest}")).unwrap()).unwrap()
    }

    /// Host, address, port and TLS of each address that is tried.
    async fn tried(connector: &Connector) -> Vec<String> {
        let shown = |config: Config| {
            assert_eq!(config.get_password(), Some(&b"secret"[..]));
            let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
            format!("{hosts:?} {addresses:?} {:?} {:?}", config.get_ports(), config.get_ssl_mode())
        };
        connector.addresses().await.unwrap().into_iter().map(shown).collect()
    }

    #[tokio::test]
    async fn each_address_of_each_host_is_tried_as_the_url_says() {
        for (rest, expected) in [
            ("192.0.2.1/auth", &[r#"[Tcp("192.0.2.1")] [192.0.2.1] [5432] Require"#][..]),
            ("192.0.2.1/auth?sslmode=prefer", &[r#"[Tcp("192.0.2.1")] [192.0.2.1] [5432] Prefer"#]),
            ("10.0.0.1:6/auth", &[r#"[Tcp("10.0.0.1")] [10.0.0.1] [6] Prefer"#]),
            ("10.0.0.1/auth?sslmode=verify-full", &[r#"[Tcp("10.0.0.1")] [10.0.0.1] [5432] Require"#]),
            ("10.0.0.1/auth?sslmode=disable", &[r#"[Tcp("10.0.0.1")] [10.0.0.1] [5432] Disable"#]),
            ("/auth?host=/run/postgresql", &[r#"[Unix("/run/postgresql")] [] [5432] Disable"#]),
            (
                "[::1]:1,10.0.0.2:2/auth",
                &[r#"[Tcp("::1")] [::1] [1] Prefer"#, r#"[Tcp("10.0.0.2")] [10.0.0.2] [2] Prefer"#],
            ),
        ] {
            assert_eq!(tried(&connector(rest)).await, expected, "{rest}");
        }
    }

    #[tokio::test]
    async fn the_last_address_that_accepted_writes_is_tried_first() {
        let connector = connector("10.0.0.1:1,10.0.0.1:2,10.0.0.1:3/auth");
        *connector.last.lock().unwrap() = connector.addresses().await.unwrap().get(1).cloned();
        let ports: Vec<u16> = connector.addresses().await.unwrap().iter().map(|config| config.get_ports()[0]).collect();
        assert_eq!(ports, [2, 1, 3]);
    }
}
