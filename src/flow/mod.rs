//! The device flow: one verb for each thing that can happen to a grant.
//!
//! A verb takes parsed values, makes every decision that its request needs and answers with one enum that carries its data.
//! HTTP parses, calls one verb and renders the answer.
//!
//! | verb | caller |
//! |---|---|
//! | [`DeviceFlow::open`] | `POST /device/code` |
//! | [`DeviceFlow::poll`] | `POST /device/token` |
//! | [`DeviceFlow::view`], [`DeviceFlow::confirm`], [`DeviceFlow::deny`] | `/device/verify` |
//! | [`DeviceFlow::resume`] | `GET /device/continue` |
//! | [`DeviceFlow::callback`] | `GET /device/callback` |
//! | [`DeviceFlow::health`] | `GET /health` |
//!
//! What a verb does is a task of the main runtime, which its client can't stop: a client that reads nothing keeps no database
//! connection, and an exchange goes on when its browser leaves. Only a poll's wait ends with its client.

mod callback;
mod cleanup;
mod confirm;
mod health;
mod open;
mod poll;
mod waiting;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use strum::IntoStaticStr;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, info};

use crate::config::Config;
use crate::db::DatabaseError;
use crate::grant::{Decision, GrantId};
use crate::limits::{Limits, RateLimited};
use crate::log::Throttle;
use crate::metrics::{GrantEvent, GrantMetrics};
use crate::postiz::Postiz;
use crate::store::Store;

pub use callback::{AuthorizationResponse, CallbackOutcome};
pub use confirm::{CodeRefused, Confirmation, Entry, ToPostiz, Viewer};
pub use open::{INTERVAL, Opened};
pub use poll::{PollOptions, PollOutcome};

use waiting::Waiting;

/// In a client's line for a statement. While the database hangs, each statement before it takes seconds.
const LINE_WAIT: Duration = Duration::from_secs(4);
/// Deliveries that a callback may not have read yet. Of one that it misses, the database tells it.
const DELIVERIES: usize = 256;

/// The grants of this server, with everything that decides about them.
pub struct DeviceFlow {
    store: Store,
    postiz: Postiz,
    waiting: Arc<Waiting>,
    limits: Limits,
    metrics: GrantMetrics,
    /// The server still serves, and balancers should stop sending requests.
    draining: AtomicBool,
    /// When Postgres was asked last, and whether it accepts writes.
    writable: Mutex<Option<(Instant, bool)>>,
    /// When a grant was opened last: the cleanup pauses while there is none.
    last_opened: watch::Sender<Instant>,
    /// Browsers that did not follow the form to Postiz, for the log.
    resumed: std::sync::Mutex<Throttle>,
    /// Tokens that were delivered here, for the pages of their callbacks.
    deliveries: broadcast::Sender<GrantId>,
    device_code_ttl: Duration,
    long_poll: Duration,
    /// Held polls are answered in steps from here.
    started: Instant,
    /// Cancelled when the server stops: held polls are answered then.
    stopping: CancellationToken,
    /// Tasks under way, whether a client waits for them or not.
    unfinished: TaskTracker,
    /// The main runtime. Requests arrive on the web server's workers, which end before it.
    runtime: Handle,
}

/// Why a verb could not do its work. The same request may succeed later.
#[derive(Debug, Clone, Copy)]
pub enum Trouble {
    /// This client is over a limit.
    RateLimited(RateLimited),
    /// The database.
    Unavailable,
    /// A bug: the task panicked.
    Failed,
}

/// Where a decision was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum Origin {
    OurPage,
    Postiz,
    /// A callback in a browser that did not confirm the login.
    WrongBrowser,
}

impl DeviceFlow {
    /// Has to be called on the main runtime.
    pub fn new(config: &Config, store: Store, postiz: Postiz) -> Self {
        Self {
            store,
            postiz,
            waiting: Arc::default(),
            limits: Limits::new(config),
            metrics: GrantMetrics::default(),
            draining: AtomicBool::new(false),
            writable: Mutex::default(),
            last_opened: watch::Sender::new(Instant::now()),
            resumed: std::sync::Mutex::default(),
            deliveries: broadcast::Sender::new(DELIVERIES),
            device_code_ttl: config.device_code_ttl,
            long_poll: config.long_poll,
            started: Instant::now(),
            stopping: CancellationToken::new(),
            unfinished: TaskTracker::new(),
            runtime: Handle::current(),
        }
    }

    /// Runs work in a task, to its end. No `async fn`: its future, which a held poll keeps, would have room for the work.
    fn task<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> impl Future<Output = Result<T, E>>
    where
        T: Send + 'static,
        E: From<Trouble> + Send + 'static,
    {
        let task = self.background(work);
        async move { task.await.unwrap_or_else(|_| Err(Trouble::Failed.into())) }
    }

    /// Runs a statement in its client's line. Its own time begins after the wait.
    async fn in_line<T>(
        &self,
        client: Option<IpAddr>,
        statement: impl Future<Output = Result<T, DatabaseError>>,
    ) -> Result<T, Trouble> {
        let place = timeout(LINE_WAIT, self.limits.statement(client)).await;
        let _place = place.map_err(|_| Trouble::Unavailable)??;
        Ok(statement.await?)
    }

    /// Starts work in a task, which nothing but the end of the process stops.
    fn background<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.spawn(self.unfinished.track_future(work).in_current_span())
    }

    /// Starts what runs beside the requests until the server stops.
    pub fn start(self: &Arc<Self>) {
        let [schema, postiz, feed, cleanup] = [(); 4].map(|()| Arc::clone(self));
        self.until_stopped(async move { schema.store.database().keep_migrated().await });
        self.until_stopped(async move { postiz.postiz.keep_discovered().await });
        self.until_stopped(async move { feed.follow_decisions().await });
        self.until_stopped(async move { cleanup.clean_up().await });
    }

    fn until_stopped(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        self.runtime.spawn(async move { stopping.run_until_cancelled(work).await });
    }

    /// Wakes the held poll of a grant that was decided here, counts the decision and logs it.
    fn decided(&self, grant: GrantId, decision: Decision, origin: Origin) {
        self.metrics.count(match decision {
            Decision::Approved => GrantEvent::Approved,
            Decision::Denied => GrantEvent::Denied,
            Decision::Revoked => GrantEvent::Revoked,
        });
        info!(grant = grant.reference(), origin = <&str>::from(origin), "grant {decision}");
        self.waiting.wake(grant, decision);
    }

    /// Held polls are answered now, and later polls at once.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Cancelled by [`Self::stop`].
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Returns when all tasks are done; false if `limit` was not enough.
    pub async fn finished(&self, limit: Duration) -> bool {
        self.unfinished.close();
        timeout(limit, self.unfinished.wait()).await.is_ok()
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn postiz(&self) -> &Postiz {
        &self.postiz
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub fn metrics(&self) -> &GrantMetrics {
        &self.metrics
    }
}

/// The exporter's trait demands it.
impl fmt::Debug for DeviceFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceFlow(..)")
    }
}

impl From<RateLimited> for Trouble {
    fn from(limited: RateLimited) -> Self {
        Self::RateLimited(limited)
    }
}

impl From<DatabaseError> for Trouble {
    fn from(_: DatabaseError) -> Self {
        Self::Unavailable
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::{join_all, pending};

    use super::*;
    use crate::db::Database;
    use crate::outbound;

    #[tokio::test(start_paused = true)]
    async fn a_line_that_stands_still_is_left_after_some_seconds() {
        let variables = [("DATABASE_URL".into(), "postgres://u@h/d".into())];
        let config = Config::from_vars(variables).unwrap();
        let store = Store::new(&config, Database::new(&config).unwrap());
        let flow = DeviceFlow::new(&config, store, Postiz::new(&config, outbound::client().unwrap()));
        let hangs = || flow.in_line(None, pending::<Result<(), DatabaseError>>());
        let start = Instant::now();
        let at_work = join_all((0..config.database_pool_size).map(|_| hangs()));
        tokio::select! {
            biased;
            _ = at_work => panic!("the database hangs"),
            left = hangs() => assert!(matches!(left, Err(Trouble::Unavailable))),
        }
        assert_eq!(start.elapsed(), LINE_WAIT);
    }
}
