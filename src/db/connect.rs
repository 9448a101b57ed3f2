//! Opens connections.
//!
//! The driver tries one address after the other, and waits for ever for one that accepts the connection and says nothing. Here,
//! each address of each host is tried [`NEXT_ADDRESS_DELAY`] after the one before, with a timeout for its whole handshake. The
//! first that accepts writes is kept, and tried first the next time if its name still has that address.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rand::seq::SliceRandom as _;
use tokio::net::lookup_host;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::config::{Config, Host, LoadBalanceHosts, SslMode as Negotiation};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{DatabaseUrl, SslMode, is_private_address};
use crate::db::connection::Connection;
use crate::db::error::OpenError;
use crate::db::tls::{self, TlsError};

const NEXT_ADDRESS_DELAY: Duration = Duration::from_millis(300);
/// For one address, unless the URL has a `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// With the URL's `keepalives_idle`, a peer that is gone shows within a minute.
const KEEPALIVES_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVES_COUNT: u32 = 3;

#[derive(Clone)]
pub(super) struct Connector {
    database: DatabaseUrl,
    limit: Duration,
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
            limit: database.config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT),
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
    pub(super) async fn open(&self, to_look: bool) -> Result<Connection, OpenError> {
        let mut hosts = self.hosts();
        if self.is_random() {
            hosts.shuffle(&mut rand::rng());
        }
        let mut lookups: FuturesUnordered<_> = hosts.into_iter().map(|host| self.addresses(host)).collect();
        let (mut waiting, mut tries) = (VecDeque::new(), FuturesUnordered::new());
        let (mut attempts, mut read_only, mut failure) = (0, None, None);
        let mut next_at = Instant::now();
        loop {
            tokio::select! {
                Some(found) = lookups.next() => match found {
                    Ok(addresses) => self.line_up(&mut waiting, addresses),
                    Err(error) => further(&mut failure, error),
                },
                Some((address, opened)) = tries.next() => match opened {
                    Ok::<Connection, _>(opened) if opened.accepts_writes => {
                        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
                        return Ok(opened);
                    }
                    Ok(opened) => {
                        read_only.get_or_insert(opened);
                        next_at = Instant::now();
                    }
                    Err(error) => {
                        further(&mut failure, error);
                        next_at = Instant::now();
                    }
                },
                () = sleep_until(next_at), if !waiting.is_empty() => {
                    tries.extend(waiting.pop_front().map(|address| self.attempt(address)));
                    attempts += 1;
                    next_at = Instant::now() + NEXT_ADDRESS_DELAY;
                }
                else => return match read_only {
                    Some(opened) if to_look || attempts == 1 => Ok(opened),
                    Some(_) => Err(OpenError::ReadOnly),
                    None => Err(failure.unwrap_or(OpenError::NoAddress)),
                },
            }
        }
    }

    /// Each host with its address, if the URL names one, and its port. As in libpq, there may be only hosts or only addresses,
    /// and a single port holds for all.
    fn hosts(&self) -> Vec<(Option<&Host>, Option<IpAddr>, u16)> {
        let config = &self.database.config;
        let (names, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
        let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        let host = |index: usize| (names.get(index), addresses.get(index).copied(), port(index));
        (0..names.len().max(addresses.len())).map(host).collect()
    }

    /// Each address of a host, with all that the driver needs for it.
    async fn addresses(
        &self,
        (name, address, port): (Option<&Host>, Option<IpAddr>, u16),
    ) -> Result<Vec<Config>, OpenError> {
        let (name, found) = match (name, address) {
            (Some(Host::Unix(path)), _) => {
                return Ok(vec![self.config(port).host_path(path).ssl_mode(Negotiation::Disable).clone()]);
            }
            (Some(Host::Tcp(name)), None) => {
                let found = timeout(self.limit, lookup_host((name.as_str(), port))).await;
                let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                let found = found.map_err(|source| OpenError::Lookup { host: name.clone(), source })?;
                (name.clone(), found.map(|address| address.ip()).collect())
            }
            (Some(Host::Tcp(name)), Some(address)) => (name.clone(), vec![address]),
            (None, Some(address)) => (address.to_string(), vec![address]),
            (None, None) => return Err(OpenError::NoAddress),
        };
        let mode = |address| negotiation(self.database.tls.mode, address);
        let at = |ip| self.config(port).host(&name).hostaddr(ip).ssl_mode(mode(ip)).clone();
        Ok(found.into_iter().map(at).collect())
    }

    /// The URL's configuration without its hosts: the driver can't take them away.
    fn config(&self, port: u16) -> Config {
        let (from, mut config) = (&self.database.config, Config::new());
        config
            .user(from.get_user().unwrap_or_default())
            .dbname(from.get_dbname().unwrap_or_default())
            .application_name(from.get_application_name().unwrap_or_default())
            .ssl_negotiation(from.get_ssl_negotiation())
            .channel_binding(from.get_channel_binding())
            .tcp_user_timeout(from.get_tcp_user_timeout().copied().unwrap_or_default())
            .keepalives(from.get_keepalives())
            .keepalives_idle(from.get_keepalives_idle())
            .keepalives_interval(from.get_keepalives_interval().unwrap_or(KEEPALIVES_INTERVAL))
            .keepalives_retries(from.get_keepalives_retries().unwrap_or(KEEPALIVES_COUNT))
            .port(port);
        if let Some(password) = from.get_password() {
            config.password(password);
        }
        if let Some(options) = from.get_options() {
            config.options(options);
        }
        config
    }

    fn is_random(&self) -> bool {
        self.database.config.get_load_balance_hosts() == LoadBalanceHosts::Random
    }

    /// The address that accepted writes last comes before all others, unless the URL wants a random one.
    fn line_up(&self, waiting: &mut VecDeque<Config>, mut addresses: Vec<Config>) {
        if self.is_random() {
            addresses.shuffle(&mut rand::rng());
            return waiting.extend(addresses);
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            if last.as_ref() == Some(&address) {
                waiting.push_front(address);
            } else {
                waiting.push_back(address);
            }
        }
    }

    async fn attempt(&self, address: Config) -> (Config, Result<Connection, OpenError>) {
        let opened = timeout(self.limit, Connection::open(&address, self.tls.clone(), &self.names)).await;
        let name = || address.get_hostaddrs().first().map_or_else(|| "the socket".to_owned(), IpAddr::to_string);
        let opened = opened
            .map_or_else(|_| Err(OpenError::Timeout { address: name(), limit: self.limit }), |opened| Ok(opened?));
        (address, opened)
    }
}

impl Manager for Connector {
    type Type = Connection;
    type Error = OpenError;

    async fn create(&self) -> Result<Connection, OpenError> {
        let generation = self.generation.load(Ordering::SeqCst);
        let mut connection = self.open(false).await?;
        connection.generation = generation;
        Ok(connection)
    }

    /// Sends nothing: a round trip would double the cost of each statement, and a broken connection shows by its error.
    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<OpenError> {
        if connection.client.is_closed() || connection.generation != self.generation.load(Ordering::SeqCst) {
            return Err(RecycleError::message("closed or discarded"));
        }
        Ok(())
    }
}

/// Without `sslmode`, a server on a network that strangers share must have TLS.
fn negotiation(mode: Option<SslMode>, address: IpAddr) -> Negotiation {
    match mode {
        None if is_private_address(address) => Negotiation::Prefer,
        None | Some(SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => Negotiation::Require,
        Some(SslMode::Allow | SslMode::Prefer) => Negotiation::Prefer,
        Some(SslMode::Disable) => Negotiation::Disable,
    }
}

fn further(kept: &mut Option<OpenError>, error: OpenError) {
    if kept.as_ref().is_none_or(|kept| kept.progress() <= error.progress()) {
        *kept = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector(rest: &str) -> Connector {
        Connector::new(&DatabaseUrl::parse(&format!("postgres://auth:secret@{rest}")).unwrap()).unwrap()
    }

    /// Host, address, port and TLS of each address that is tried.
    async fn tried(rest: &str) -> Vec<String> {
        let connector = connector(rest);
        let mut all = Vec::new();
        for host in connector.hosts() {
            for config in connector.addresses(host).await.unwrap() {
                assert_eq!(config.get_password(), Some(&b"secret"[..]));
                let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
                all.push(format!("{hosts:?} {addresses:?} {:?} {:?}", config.get_ports(), config.get_ssl_mode()));
            }
        }
        all
    }

    #[tokio::test]
    async fn each_address_of_each_host_is_tried_as_the_url_says() {
        for (rest, expected) in [
            ("192.0.2.1/auth", &[r#"[Tcp("192.0.2.1")] [192.0.2.1] [5432] Require"#][..]),
            ("192.0.2.1/auth?sslmode=prefer", &[r#"[Tcp("192.0.2.1")] [192.0.2.1] [5432] Prefer"#]),
            ("10.0.0.1/auth", &[r#"[Tcp("10.0.0.1")] [10.0.0.1] [5432] Prefer"#]),
            ("10.0.0.1/auth?sslmode=verify-full", &[r#"[Tcp("10.0.0.1")] [10.0.0.1] [5432] Require"#]),
            ("db.test:6/auth?hostaddr=192.0.2.1", &[r#"[Tcp("db.test")] [192.0.2.1] [6] Require"#]),
            ("/auth?hostaddr=192.0.2.1&sslmode=disable", &[r#"[Tcp("192.0.2.1")] [192.0.2.1] [5432] Disable"#]),
            ("/auth?host=/run/postgresql", &[r#"[Unix("/run/postgresql")] [] [5432] Disable"#]),
            (
                "[::1]:1,10.0.0.2:2/auth",
                &[r#"[Tcp("::1")] [::1] [1] Prefer"#, r#"[Tcp("10.0.0.2")] [10.0.0.2] [2] Prefer"#],
            ),
        ] {
            assert_eq!(tried(rest).await, expected, "{rest}");
        }
    }

    #[tokio::test]
    async fn the_last_address_that_accepted_writes_is_tried_first() {
        for (query, first) in [("", Some(2)), ("?load_balance_hosts=random", None)] {
            let connector = connector(&format!("10.0.0.1:1,10.0.0.1:2,10.0.0.1:3/auth{query}"));
            let mut addresses = Vec::new();
            for host in connector.hosts() {
                addresses.extend(connector.addresses(host).await.unwrap());
            }
            *connector.last.lock().unwrap() = Some(addresses[1].clone());
            let mut firsts = (0..100).map(|_| {
                let mut waiting = VecDeque::new();
                connector.line_up(&mut waiting, addresses.clone());
                waiting[0].get_ports()[0]
            });
            match first {
                Some(first) => assert!(firsts.all(|port| port == first)),
                None => assert!(firsts.any(|port| port == 1) && firsts.any(|port| port == 3)),
            }
        }
    }
}
