//! One way up, one way down: [`App::start`] and [`Running::stop`], for `serve`, `demo` and tests.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use actix_web::middleware::{NormalizePath, TrailingSlash, from_fn};
use actix_web::web::Data;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Config;
use crate::http::{Deps, headers, routes, trace};
use crate::outbound::{self, SetupError};
use crate::postiz::Postiz;
use crate::store::{Store, TlsError};
use crate::waiters::Waiters;
use crate::{check, exporter, feed, sockets, sweeper};

/// What is under way at a stop is finished within this time.
pub const GRACE: Duration = Duration::from_secs(10);
/// Longer than load balancers keep an idle connection, so that it is they who close it.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// After held polls are answered and before the listener closes: the answers leave, and whoever asks
/// `/health` meanwhile hears 503.
const LINGER: Duration = Duration::from_millis(500);
/// The time a client has for a request's head.
const REQUEST_HEAD: Duration = Duration::from_secs(5);
/// Connections at a time, shared out among the workers: the held polls, and room beside them.
const MOST_CONNECTIONS: usize = 15_000;
/// Connections that wait to be accepted, as after a restart with many terminals waiting.
const BACKLOG: u32 = 4096;

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// TLS to Postgres can't be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client for Postiz can't be set up.
    #[error(transparent)]
    Outbound(#[from] SetupError),
    /// The listener can't be used.
    #[error("can't listen")]
    Listen(#[from] io::Error),
}

/// The server before it runs.
#[derive(Debug)]
pub struct App;

impl App {
    /// Starts serving on `listener`; does not wait for the database.
    ///
    /// Has to be called on a multi-thread runtime, on which database connections live.
    pub fn start(config: &Config, listener: TcpListener) -> Result<Running, StartError> {
        let runtime = Handle::current();
        let address = listener.local_addr()?;
        let store = Store::new(config, &runtime)?;
        let waiters = Arc::new(Waiters::new(sockets::raise_limit()));
        let http = outbound::client()?;
        let postiz = Postiz::new(config, http.clone());
        let deps = Data::new(Deps::new(config, store.clone(), postiz, Arc::clone(&waiters), runtime.clone()));

        let (limits, logins) = (Arc::clone(&deps.limits), deps.logins.clone());
        runtime.spawn(sweeper::run(store.clone(), limits, logins, deps.stopping.clone()));
        runtime.spawn(feed::run(store.clone(), waiters, deps.stopping.clone()));

        runtime.spawn(check::at_start(config.clone(), store, http, deps.stopping.clone()));

        let closing = CancellationToken::new();
        let server = serve(Data::clone(&deps), listener, closing.clone())?;
        let handle = server.handle();
        let exporter = match config.metrics_port {
            Some(port) => {
                let (address, exporter) = exporter::start(&deps, listen(port)?, &runtime)?;
                info!(%address, "metrics are served");
                Some(exporter)
            }
            None => None,
        };
        Ok(Running { address, deps, drain: config.drain, closing, handle, exporter, server: runtime.spawn(server) })
    }
}

/// Listens on IPv4 and IPv6 at once, or on IPv4 where there is no IPv6.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|error| match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
        _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)),
    })
}

fn serve(deps: Data<Deps>, listener: TcpListener, closing: CancellationToken) -> io::Result<actix_web::dev::Server> {
    let app = move || {
        actix_web::App::new()
            .app_data(Data::clone(&deps))
            .wrap(headers::defaults(&deps.server_url))
            .wrap(from_fn(headers::last_answer))
            .wrap(from_fn(trace::trace))
            // The CLI asks for //device/code where its server's URL ends with a slash.
            .wrap(NormalizePath::new(TrailingSlash::Trim))
            .configure(routes::configure(deps.server_url.base_path()))
    };
    // By the processors, or the share of them that a container may use.
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let server = HttpServer::new(app)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(REQUEST_HEAD)
        .backlog(BACKLOG)
        .max_connections(MOST_CONNECTIONS.div_ceil(workers))
        .workers(workers)
        // A client that goes away while its poll is held frees everything at once.
        .h1_allow_half_closed(false)
        .shutdown_timeout(GRACE.as_secs())
        .shutdown_signal(closing.cancelled_owned())
        .listen(listener)?
        .run();
    Ok(server)
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    deps: Data<Deps>,
    drain: Duration,
    closing: CancellationToken,
    handle: ServerHandle,
    exporter: Option<ServerHandle>,
    server: JoinHandle<io::Result<()>>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: `/health` turns 503; after `DRAIN_SECONDS`, in which all else goes on, held polls are answered and what is
    /// under way is finished, for at most [`GRACE`].
    pub async fn stop(self) {
        if !self.drain.is_zero() {
            info!(seconds = self.drain.as_secs(), "draining: /health says 503, everything is still served");
            self.deps.health.leave();
            sleep(self.drain).await;
        }
        info!(held = self.deps.waiters.held(), "stopping: what is under way is finished first");
        self.deps.stopping.cancel();
        sleep(LINGER).await;
        self.closing.cancel();
        if timeout(GRACE + Duration::from_secs(2), self.server).await.is_err() {
            warn!("stopping took too long; the rest is cut off");
            self.handle.stop(false).await;
        }
        self.deps.unfinished.close();
        if timeout(GRACE, self.deps.unfinished.wait()).await.is_err() {
            warn!("some work could not be finished in time");
        }
        self.deps.store.close();
        if let Some(exporter) = self.exporter {
            exporter.stop(false).await;
        }
        info!("stopped");
    }
}
