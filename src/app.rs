//! Starts and stops the whole server: [`App::start`] and [`Running::stop`], for `serve`, the demo and tests.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::num::NonZero;
use std::time::Duration;

use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use actix_web::middleware::{NormalizePath, TrailingSlash, from_fn};
use actix_web::web::Data;
use socket2::SockRef;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::capacity::{Capacity, Resources};
use crate::config::Config;
use crate::db::{Database, TlsError};
use crate::flow::DeviceFlow;
use crate::http::{Deps, headers, routes, trace};
use crate::outbound::{self, SetupError};
use crate::postiz::Postiz;
use crate::store::Store;
use crate::{check, cleanup, exporter};

/// Requests under way at a stop are finished within this time.
pub const GRACE: Duration = Duration::from_secs(10);
/// Longer than load balancers keep an idle connection, so that they close it and not we.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// After held polls are answered and before the listener closes: the answers are sent, and `/health` is 503 meanwhile.
const LINGER: Duration = Duration::from_millis(500);
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// What the kernel keeps of the answers that a client does not read. It would keep megabytes. The longest page fits.
const SEND_BUFFER: usize = 64 << 10;
/// What the kernel keeps of requests that are not read yet. actix parses all that arrive at once before it answers the first,
/// and each takes 6 KB until it is answered. The longest request of a terminal or a browser fits.
const RECEIVE_BUFFER: usize = 4 << 10;
/// A client that takes nothing of an answer for this time is disconnected. A terminal that is offline for less still gets it:
/// Node's `fetch` waits for as long.
#[cfg(target_os = "linux")]
const UNREAD_TIMEOUT: Duration = Duration::from_mins(5);
/// Connections that wait to be accepted, as after a restart while many terminals poll. Linux allows no more by default.
const BACKLOG: u32 = 4096;

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Outbound(#[from] SetupError),
    #[error("can't listen on PORT")]
    Listen(#[from] io::Error),
    #[error("can't serve metrics on METRICS_PORT")]
    Metrics(#[source] io::Error),
}

#[derive(Debug)]
pub struct App;

impl App {
    /// Serves on `listener`; waits neither for the database nor for Postiz.
    ///
    /// Has to be called on a multi-thread runtime, on which database connections live.
    pub fn start(config: &Config, listener: TcpListener) -> Result<Running, StartError> {
        let runtime = Handle::current();
        let address = listener.local_addr()?;
        let resources = Resources::of_this_process(config.held_polls_memory_mb);
        let flow = flow(config, Capacity::of(resources), &runtime)?;
        background(config, &flow, &runtime)?;
        let deps = Deps::new(config, flow);
        let closing = CancellationToken::new();
        let server = serve(deps.clone(), listener, closing.clone())?;
        let handle = server.handle();
        let exporter = match config.metrics_port {
            Some(port) => {
                let listener = listen_at(config.metrics_address, port).map_err(StartError::Metrics)?;
                let (address, exporter) =
                    exporter::start(&deps.flow, listener, &runtime).map_err(StartError::Metrics)?;
                info!(%address, "metrics are served");
                Some(exporter)
            }
            None => None,
        };
        let (server, drain) = (runtime.spawn(server), config.drain);
        Ok(Running { address, resources, deps, drain, closing, handle, exporter, server })
    }
}

/// The device flow with its database and Postiz; connects to nothing yet.
pub fn flow(config: &Config, capacity: Capacity, runtime: &Handle) -> Result<DeviceFlow, StartError> {
    let store = Store::new(config, Database::new(config, workers(), runtime)?, runtime);
    let postiz = Postiz::new(config, outbound::client()?);
    Ok(DeviceFlow::new(config, store, postiz, capacity, runtime))
}

/// What runs beside the requests until the server stops.
fn background(config: &Config, flow: &DeviceFlow, runtime: &Handle) -> Result<(), SetupError> {
    let stopping = flow.stopping().clone();
    let database = flow.store().database().clone();
    let migrations = async move { stopping.run_until_cancelled(database.keep_migrated()).await };
    runtime.spawn(migrations);
    let (postiz, stopping) = (flow.clone(), flow.stopping().clone());
    runtime.spawn(async move { stopping.run_until_cancelled(postiz.postiz().keep_discovered()).await });
    let deciding = flow.clone();
    runtime.spawn(async move { deciding.follow_decisions().await });
    let refreshing = flow.clone();
    runtime.spawn(async move { refreshing.refresh_pending().await });
    let cleaning = flow.clone();
    runtime.spawn(async move { cleanup::run(&cleaning).await });
    let (database, stopping) = (flow.store().database().clone(), flow.stopping().clone());
    runtime.spawn(check::at_start(config.clone(), database, outbound::client()?, stopping));
    Ok(())
}

/// Listens on this address, or on all.
fn listen_at(address: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    address.map_or_else(|| listen(port), |address| TcpListener::bind((address, port)))
}

/// Listens on IPv4 and IPv6, or on IPv4 if there is no IPv6.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|error| match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
        _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)),
    })
}

fn serve(deps: Deps, listener: TcpListener, closing: CancellationToken) -> io::Result<actix_web::dev::Server> {
    limit_buffers(&listener)?;
    let connections = deps.flow.capacity().connections;
    let app = move || {
        actix_web::App::new()
            .app_data(Data::new(deps.for_this_worker()))
            .wrap(headers::defaults(&deps.server_url))
            .wrap(from_fn(headers::last_answer))
            .wrap(from_fn(trace::trace))
            // The CLI requests //device/code if its server's URL ends with a slash.
            .wrap(NormalizePath::new(TrailingSlash::Trim))
            .configure(routes::configure(deps.server_url.base_path()))
    };
    let server = HttpServer::new(app)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(REQUEST_HEAD_TIMEOUT)
        .backlog(BACKLOG)
        .max_connections(connections.div_ceil(workers()))
        .workers(workers())
        // A client that disconnects while its poll is held frees everything at once.
        .h1_allow_half_closed(false)
        .shutdown_timeout(GRACE.as_secs())
        .shutdown_signal(closing.cancelled_owned())
        .listen(listener)?
        .run();
    Ok(server)
}

/// As many as there are processors, or as a container's share of them.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Limits what a client costs that does not read its answers, or does not wait for them. Accepted connections have the options
/// of their listener.
fn limit_buffers(listener: &TcpListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNREAD_TIMEOUT))?;
    Ok(())
}

#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    resources: Resources,
    deps: Deps,
    drain: Duration,
    closing: CancellationToken,
    handle: ServerHandle,
    exporter: Option<ServerHandle>,
    server: JoinHandle<io::Result<()>>,
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it may use.
    pub fn resources(&self) -> Resources {
        self.resources
    }

    /// How many polls it may hold with that.
    pub fn capacity(&self) -> Capacity {
        self.deps.flow.capacity()
    }

    /// Returns if Postiz turns out not to offer what the configuration needs, before it was ever usable. The log says what
    /// the operator has to do.
    pub async fn postiz_unusable(&self) {
        self.deps.flow.postiz().unusable().await;
    }

    /// Stops. `/health` is 503 for `DRAIN_SECONDS`, while all else is served. Then held polls are answered, and requests
    /// under way are finished within [`GRACE`].
    pub async fn stop(self) {
        let flow = &self.deps.flow;
        if !self.drain.is_zero() {
            info!(seconds = self.drain.as_secs(), "draining: /health is 503, and requests are still served");
            self.deps.readiness.drain();
            sleep(self.drain).await;
        }
        info!(held_polls = flow.held_polls().polls, "stopping: requests under way are finished first");
        flow.stop();
        sleep(LINGER).await;
        self.closing.cancel();
        if timeout(GRACE + Duration::from_secs(2), self.server).await.is_err() {
            warn!("stopping took too long: the remaining requests are cut off");
            self.handle.stop(false).await;
        }
        if !flow.finished(GRACE).await {
            warn!("some work could not be finished in time");
        }
        flow.store().database().close();
        if let Some(exporter) = self.exporter {
            exporter.stop(false).await;
        }
        info!("stopped");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpStream;

    use super::*;

    /// A client's end of a connection, and the server's.
    fn connection() -> (TcpStream, TcpStream) {
        let listener = listen(0).unwrap();
        limit_buffers(&listener).unwrap();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port())).unwrap();
        (client, listener.accept().unwrap().0)
    }

    /// A terminal that is offline while its poll is answered gets the answer when it is back. A connection that is cut before
    /// its client gives up leaves the client waiting for nothing.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_terminal_that_is_offline_is_kept_for_as_long_as_it_waits() {
        const FETCH_WAITS: Duration = Duration::from_mins(5);
        let (_client, server) = connection();
        let limit = SockRef::from(&server).tcp_user_timeout().unwrap().unwrap();
        assert!(limit >= FETCH_WAITS, "{limit:?}");
    }

    /// Without the limit, it is 4 MB.
    #[test]
    fn answers_that_a_client_does_not_read_take_little_memory() {
        let (_client, mut server) = connection();
        server.set_nonblocking(true).unwrap();
        let mut kept = 0;
        while let Ok(written) = server.write(&[0; 4096]) {
            kept += written;
        }
        // The client's own buffer is some of it.
        assert!(kept < 1_000_000, "{kept} bytes");
    }
}
