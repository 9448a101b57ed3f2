//! Opens connections.
//!
//! The driver tries one address after the other, and waits for ever for one that accepts the connection and says nothing. Here,
//! each address of each host is tried [`NEXT_ADDRESS_DELAY`] after the one before, or when that one has failed, with a timeout
//! for its whole handshake. The first that accepts writes is kept, and tried first the next time if its name still has that
//! address.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::lookup_host;
use tokio::time::timeout;
use tokio_postgres::config::{Config, Host, SslMode as Negotiation};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{DatabaseUrl, SslMode, is_private_address};
use crate::db::connection::Connection;
use crate::db::error::AttemptError;
use crate::db::tls::{self, TlsError};

const NEXT_ADDRESS_DELAY: Duration = Duration::from_millis(300);

#[derive(Clone)]
pub(super) struct Connector {
    database: DatabaseUrl,
    tls: MakeRustlsConnect,
    /// The address that accepted writes last.
    last: Arc<Mutex<Option<Config>>>,
    /// Increases each time all connections are discarded.
    pub(super) generation: Arc<AtomicU64>,
    /// Whether statements have names.
    names: Arc<AtomicBool>,
}

impl Connector {
    pub(super) fn new(database: &DatabaseUrl) -> Result<Self, TlsError> {
        Ok(Self {
            tls: tls::connector(database)?,
            last: Arc::default(),
            generation: Arc::default(),
            names: Arc::new(AtomicBool::new(!database.pooled)),
            database: database.clone(),
        })
    }

    /// A caller that may give up calls it in a task of its own, so that the next one finds what was opened.
    ///
    /// A standby's reads may be old. So of several addresses, one that only reads is refused, unless `to_look` is all that is
    /// wanted.
    pub(super) async fn open(&self, to_look: bool) -> Result<Connection, AttemptError> {
        let addresses = self.addresses().await?;
        let accepts_standby = to_look || addresses.len() == 1;
        let (mut waiting, mut tries) = (addresses.into_iter(), FuturesUnordered::new());
        let mut failure = AttemptError::NoAnswer("none of the addresses accepts writes".to_owned());
        let mut standby = None;
        loop {
            tries.extend(waiting.next().map(|address| self.attempt(address)));
            match timeout(NEXT_ADDRESS_DELAY, tries.next()).await {
                Ok(Some((address, Ok(opened)))) if opened.accepts_writes => {
                    *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
                    return Ok(opened);
                }
                Ok(Some((_, Ok(opened)))) => standby = Some(opened).filter(|_| accepts_standby),
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
        let mut failure = "the host has no address".to_owned();
        let mut addresses = Vec::new();
        for (host, port) in &self.database.hosts {
            let mut config = self.database.config.clone();
            config.port(*port);
            match host {
                Host::Unix(path) => addresses.push(config.host_path(path).ssl_mode(Negotiation::Disable).clone()),
                Host::Tcp(name) => match timeout(self.limit(), lookup_host((name.as_str(), *port))).await {
                    Ok(Ok(found)) => {
                        addresses.extend(found.map(|found| self.at(config.clone().host(name), found.ip())));
                    }
                    Ok(Err(error)) => failure = format!("{name} can't be resolved: {error}"),
                    Err(late) => failure = format!("{name} can't be resolved: {late}"),
                },
            }
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.sort_by_key(|address| Some(address) != last.as_ref());
        if addresses.is_empty() { Err(AttemptError::NoAnswer(failure)) } else { Ok(addresses) }
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

    async fn attempt(&self, address: Config) -> (Config, Result<Connection, AttemptError>) {
        let limit = self.limit();
        let name = address.get_hostaddrs().first().map_or_else(|| "the socket".to_owned(), IpAddr::to_string);
        let late = |_| Err(AttemptError::NoAnswer(format!("no answer from {name} within {limit:?}")));
        let opened = timeout(limit, Connection::open(&address, self.tls.clone(), &self.names)).await;
        (address, opened.unwrap_or_else(late))
    }

    /// For one address, TLS and the login included.
    fn limit(&self) -> Duration {
        self.database.config.get_connect_timeout().copied().unwrap_or_default()
    }
}

impl Manager for Connector {
    type Type = Connection;
    type Error = AttemptError;

    async fn create(&self) -> Result<Connection, AttemptError> {
        let generation = self.generation.load(Ordering::SeqCst);
        let mut connection = self.open(false).await?;
        connection.generation = generation;
        Ok(connection)
    }

    /// Sends nothing: a round trip would double the cost of each statement, and a broken connection shows by its error.
    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<AttemptError> {
        if connection.client.is_closed() || connection.generation != self.generation.load(Ordering::SeqCst) {
            return Err(RecycleError::message("closed or discarded"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
