//! The connection pool: small, with a limit on every wait.

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

use crate::config::Config;
use crate::store::tls::{self, TlsError};

/// How long a statement waits for a free connection, and a connection to be made.
const WAIT: Duration = Duration::from_secs(2);
const CREATE: Duration = Duration::from_secs(5);
/// What a host that says nothing is ahead of the next one.
const HEAD_START: Duration = Duration::from_millis(500);
/// Checking a pooled connection costs nothing with `Fast`; the limit is for what it may cost later.
const RECYCLE: Duration = Duration::from_secs(1);

pub(super) fn new(config: &Config, runtime: &Handle) -> Result<Pool, TlsError> {
    let connect = OnRuntime {
        runtime: runtime.clone(),
        tls: tls::connector(&config.database.tls)?.map(Arc::new),
        hosts: config.database.hosts.clone(),
    };
    let manager = Manager::from_connect(
        config.database.config.clone(),
        connect,
        // A round trip to test each connection would double the cost of each statement; a dead one
        // is noticed by its error and the statement goes to another.
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    #[expect(clippy::expect_used, reason = "only a pool with timeouts and no runtime is refused")]
    let pool = Pool::builder(manager)
        .max_size(config.database_pool_size)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(CREATE))
        .recycle_timeout(Some(RECYCLE))
        .runtime(Runtime::Tokio1)
        .build()
        .expect("the runtime is named");
    Ok(pool)
}

/// Connects on the main runtime.
///
/// The web server's workers have runtimes of their own that end one by one at shutdown; a connection
/// driven by one of them would break under a request on another.
struct OnRuntime {
    runtime: Handle,
    tls: Option<Arc<MakeRustlsConnect>>,
    hosts: Vec<PostgresConfig>,
}

type Connected = Result<(Client, JoinHandle<()>), Error>;

impl Connect for OnRuntime {
    fn connect(&self, _: &PostgresConfig) -> BoxFuture<'_, Connected> {
        let connecting = self.runtime.spawn(open_first(self.hosts.clone(), self.tls.clone(), self.runtime.clone()));
        Box::pin(async move {
            match connecting.await {
                Ok(connected) => connected,
                // The runtime is going down; the pool's time limit ends the wait.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

/// Asks the hosts in their order and takes the first that will do.
///
/// A machine that is gone neither answers nor refuses. Waited for as long as libpq does, it would use up
/// the time that a statement has, each time anew, and the next host would never be asked.
pub(super) async fn open_first(
    mut hosts: Vec<PostgresConfig>,
    tls: Option<Arc<MakeRustlsConnect>>,
    runtime: Handle,
) -> Connected {
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
            () = sleep(HEAD_START), if more => {}
            // There is always a host; were there none, the pool's time limit would end the wait.
            else => std::future::pending().await,
        }
    }
}

async fn open(config: PostgresConfig, tls: Option<Arc<MakeRustlsConnect>>, runtime: Handle) -> Connected {
    if let (Some(tls), true) = (tls, config.get_ssl_mode() != NegotiatedTls::Disable) {
        let (client, connection) = config.connect(MakeRustlsConnect::clone(&tls)).await?;
        Ok((client, runtime.spawn(drive(connection))))
    } else {
        let (client, connection) = config.connect(NoTls).await?;
        Ok((client, runtime.spawn(drive(connection))))
    }
}

/// A connection's end is seen by the statement on it; here it would only be said twice.
async fn drive(connection: impl Future<Output = Result<(), Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the database ended");
    }
}
