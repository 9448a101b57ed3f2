//! Starts and stops the whole server: [`App::start`] and [`Running::stop`], for `serve`, the demo and tests.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use actix_web::middleware::{NormalizePath, TrailingSlash, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::web::Data;
use socket2::SockRef;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::config::Config;
use crate::db::{Database, TlsError};
use crate::flow::DeviceFlow;
use crate::http::sender::may_be_proxy;
use crate::http::{self, Deps};
use crate::outbound::{self, SetupError};
use crate::postiz::Postiz;
use crate::store::Store;
use crate::{check, exporter};

/// Requests under way at a stop are finished within this time.
pub const GRACE: Duration = Duration::from_secs(10);
/// Longer than any common proxy keeps an idle connection (Google's load balancer: 600 s), so that they close it and not we: a
/// POST must not meet a closed socket.
const KEEP_ALIVE: Duration = Duration::from_secs(620);
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
const BACKLOG: i32 = 4096;
/// Connections beside those of held polls: pages, short requests, idle ones of proxies.
const OTHER_CONNECTIONS: usize = 1024;
/// Files beside the connections: the database, Postiz, metrics and the log.
const OWN_FILES: usize = 128;

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Outbound(#[from] SetupError),
    #[error("can't listen on PORT")]
    Listen(#[from] io::Error),
    #[error("can't serve metrics on METRICS_ADDRESS")]
    Metrics(#[source] io::Error),
}

pub struct App;

pub struct Running {
    address: SocketAddr,
    flow: Arc<DeviceFlow>,
    drain: Duration,
    server: ServerHandle,
    exporter: Option<ServerHandle>,
}

impl App {
    /// Serves on `listener`; waits neither for the database nor for Postiz. Has to be called on the main runtime.
    pub fn start(config: &Config, listener: TcpListener) -> Result<Running, StartError> {
        let address = listener.local_addr()?;
        let store = Store::new(config, Database::new(config)?);
        let flow = Arc::new(DeviceFlow::new(config, store, Postiz::new(config, outbound::client()?)));
        flow.start();
        let (database, stopping) = (flow.store().database().clone(), flow.stopping().clone());
        tokio::spawn(check::at_start(config.clone(), database, outbound::client()?, stopping));
        let deps = Deps { flow: Arc::clone(&flow), config: config.clone(), refused_forms: Mutex::default() };
        let server = serve(Data::new(deps), listener)?;
        let exporter = config.metrics_address.map(|address| exporter::start(&flow, address));
        let exporter = exporter.transpose().map_err(StartError::Metrics)?;
        Ok(Running { address, flow, drain: config.drain, server, exporter })
    }
}

/// Listens on IPv4 and IPv6, or on IPv4 if there is no IPv6.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|error| match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
        _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)),
    })
}

fn serve(deps: Data<Deps>, listener: TcpListener) -> io::Result<ServerHandle> {
    prepare(&listener)?;
    let total = connections(deps.config.max_held_polls);
    let peers = deps.clone();
    let app = move || {
        actix_web::App::new()
            .app_data(deps.clone())
            .wrap(http::default_headers(&deps.config.server_url))
            .wrap(from_fn(http::each_request))
            // The CLI requests //device/code if its server's URL ends with a slash.
            .wrap(NormalizePath::new(TrailingSlash::Trim))
            .configure(http::routes(deps.config.server_url.base_path()))
    };
    // As many as there are processors, or as a container's share of them.
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let server = HttpServer::new(app)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(REQUEST_HEAD_TIMEOUT)
        .max_connections(total.div_ceil(workers))
        .workers(workers)
        .on_connect(move |connection, data| {
            let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
            let peer = stream.peer_addr().ok().map(|peer| peer.ip());
            let Some(peer) = peer.filter(|peer| !may_be_proxy(&peers.config, *peer)) else { return };
            match peers.flow.limits().connection(peer, total) {
                Ok(permit) => drop(data.insert(permit)),
                // After an answer would be too late: without a whole request there is none.
                Err(_) => drop(SockRef::from(stream).shutdown(Shutdown::Both)),
            }
        })
        .shutdown_timeout(GRACE.as_secs())
        .disable_signals()
        .listen(listener)?
        .run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok(handle)
}

/// How many connections to take: for the held polls and others, as far as the limit of open files allows. Raises the soft
/// limit, which is often 1,024 for the sake of programs that use `select`.
fn connections(held_polls: usize) -> usize {
    let wanted = held_polls + OTHER_CONNECTIONS;
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX);
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    if files < wanted + OWN_FILES {
        warn!(files, wanted, "low limit of open files: raise the hard limit (ulimit -Hn), or lower MAX_HELD_POLLS");
    }
    wanted.min(files.saturating_sub(OWN_FILES).max(1))
}

/// Limits what a client costs that does not read its answers, or does not wait for them. Accepted connections have the options
/// of their listener. Listens once more, which sets the backlog: the standard library's is 128.
fn prepare(listener: &TcpListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNREAD_TIMEOUT))?;
    socket.listen(BACKLOG)
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns if Postiz turns out not to offer what the configuration needs, before it was ever usable. The log says what
    /// the operator has to do.
    pub async fn postiz_unusable(&self) {
        self.flow.postiz().unusable().await;
    }

    /// Stops. `/health` is 503 for `DRAIN_SECONDS`, while all else is served. Then held polls are answered, and requests
    /// under way are finished within [`GRACE`], and after them what their clients don't wait for. Takes up to 22.5 s more than the
    /// drain.
    pub async fn stop(self) {
        if !self.drain.is_zero() {
            info!(seconds = self.drain.as_secs(), "draining: /health is 503, and requests are still served");
            self.flow.drain();
            sleep(self.drain).await;
        }
        info!(held_polls = self.flow.limits().held_polls().0, "stopping: requests under way are finished first");
        self.flow.stop();
        sleep(LINGER).await;
        if timeout(GRACE + Duration::from_secs(2), self.server.stop(true)).await.is_err() {
            warn!("stopping took too long: the remaining requests are cut off");
        }
        if !self.flow.finished(GRACE).await {
            warn!("some work could not be finished in time");
        }
        self.flow.store().database().close();
        if let Some(exporter) = self.exporter {
            exporter.stop(false).await;
        }
        info!("stopped");
    }
}
