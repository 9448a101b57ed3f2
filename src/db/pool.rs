//! The connection pool: small, with a timeout on every wait.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Connect, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::config::{LoadBalanceHosts, SslMode as NegotiatedTls};
use tokio_postgres::{Client, Config as PostgresConfig, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::DatabaseUrl;
use crate::db::clear_text;
use crate::db::named::Named;
use crate::db::tls::{self, TlsError};

const CREATE_TIMEOUT: Duration = Duration::from_secs(5);
const RECYCLE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to wait for one host before trying the next in parallel.
const NEXT_HOST_DELAY: Duration = Duration::from_millis(500);

pub(super) fn new(size: usize, connector: Connector, named: Arc<Named>) -> Pool {
    let manager = Manager::from_connect(
        PostgresConfig::new(),
        Pooled { connector, named },
        // A round trip to test each connection would double the cost of each statement. A broken connection shows by
        // its error, and the retry uses another one.
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    #[expect(clippy::expect_used, reason = "only a pool with timeouts and no runtime is refused")]
    Pool::builder(manager)
        .max_size(size)
        .create_timeout(Some(CREATE_TIMEOUT))
        .recycle_timeout(Some(RECYCLE_TIMEOUT))
        .runtime(Runtime::Tokio1)
        .build()
        .expect("the runtime is named")
}

/// Connects on a runtime, on which the connection lives: if it ends, the connection breaks.
#[derive(Clone)]
pub(super) struct Connector {
    runtime: Handle,
    tls: Option<Arc<MakeRustlsConnect>>,
    hosts: Vec<PostgresConfig>,
}

type Connected = Result<(Client, JoinHandle<()>), Error>;

impl Connector {
    pub(super) fn new(database: &DatabaseUrl, runtime: &Handle) -> Result<Self, TlsError> {
        Ok(Self {
            runtime: runtime.clone(),
            tls: tls::connector(&database.tls)?.map(Arc::new),
            hosts: database.hosts.clone(),
        })
    }

    /// The same on another runtime.
    pub(super) fn on(&self, runtime: &Handle) -> Self {
        Self { runtime: runtime.clone(), ..self.clone() }
    }

    pub(super) async fn open(&self) -> Connected {
        match self.runtime.spawn(open_first(self.hosts.clone(), self.tls.clone(), self.runtime.clone())).await {
            Ok(connected) => connected,
            // The runtime is shutting down. The caller's timeout ends the wait.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Opens the pool's connections.
struct Pooled {
    connector: Connector,
    named: Arc<Named>,
}

impl Connect for Pooled {
    /// The connector knows where to.
    fn connect(&self, _: &PostgresConfig) -> BoxFuture<'_, Connected> {
        Box::pin(async {
            let (client, driver) = self.connector.open().await?;
            self.named.connected(&client).await?;
            Ok((client, driver))
        })
    }
}

/// Connects to the hosts in their order and returns the first connection that succeeds.
///
/// A machine that is down neither answers nor refuses. With libpq's sequential order it would use up the timeout of
/// each statement, and the next host would never be tried.
async fn open_first(mut hosts: Vec<PostgresConfig>, tls: Option<Arc<MakeRustlsConnect>>, runtime: Handle) -> Connected {
    if hosts.first().is_some_and(|host| host.get_load_balance_hosts() == LoadBalanceHosts::Random) {
        let first = rand::random_range(0..hosts.len());
        hosts.rotate_left(first);
    }
    let mut hosts = hosts.into_iter();
    let mut asked = FuturesUnordered::new();
    loop {
        if let Some(host) = hosts.next() {
            asked.push(open(host, tls.clone(), runtime.clone()));
        }
        let more = hosts.len() > 0;
        tokio::select! {
            Some(connected) = asked.next() => {
                if connected.is_ok() || (asked.is_empty() && !more) {
                    return connected;
                }
            }
            () = sleep(NEXT_HOST_DELAY), if more => {}
            // There is always a host. If there were none, the pool's timeout would end the wait.
            else => std::future::pending().await,
        }
    }
}

async fn open(config: PostgresConfig, tls: Option<Arc<MakeRustlsConnect>>, runtime: Handle) -> Connected {
    let tls = tls.filter(|_| config.get_ssl_mode() != NegotiatedTls::Disable).map(|tls| MakeRustlsConnect::clone(&tls));
    if clear_text::is_refused(&config) {
        let (client, connection) = clear_text::connect(config, tls).await?;
        Ok((client, runtime.spawn(drive(connection))))
    } else if let Some(tls) = tls {
        let (client, connection) = config.connect(tls).await?;
        Ok((client, runtime.spawn(drive(connection))))
    } else {
        let (client, connection) = config.connect(NoTls).await?;
        Ok((client, runtime.spawn(drive(connection))))
    }
}

/// The statement on the connection reports its end; a warning here would report it twice.
async fn drive(connection: impl Future<Output = Result<(), Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the database ended");
    }
}
