//! The device flow: one verb for each thing that can happen to a grant.
//!
//! A verb takes parsed values, makes every decision that its request needs, and answers with one enum that carries its
//! data, or with a result of it and one enum of refusals. HTTP parses, calls one verb and renders the answer.
//!
//! | verb | caller |
//! |---|---|
//! | [`DeviceFlow::open`] | `POST /device/code` |
//! | [`DeviceFlow::poll`] | `POST /device/token` |
//! | [`DeviceFlow::view`], [`DeviceFlow::confirm`], [`DeviceFlow::deny`] | `/device/verify` |
//! | [`DeviceFlow::resume`] | `GET /device/continue` |
//! | [`DeviceFlow::callback`] | `GET /device/callback` |
//! | [`DeviceFlow::revoke`] | the command `revoke` |

mod abandon;
mod budget;
mod callback;
mod confirm;
mod entry;
mod exchange;
mod feed;
mod held_poll;
mod open;
mod poll;
mod refresh;
mod registry;
mod revoke;
mod share;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use strum::IntoStaticStr;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, info};

use crate::capacity::Capacity;
use crate::config::Config;
use crate::db::DatabaseError;
use crate::grant::{Decision, GrantId};
use crate::limits::Limits;
use crate::metrics::{GrantEvent, GrantMetrics, Limit, LimitMetrics};
use crate::postiz::{MAX_REGISTRATIONS, Postiz};
use crate::secret::Secret;
use crate::store::Store;

pub use budget::Usage;
pub use callback::{AuthorizationResponse, CallbackOutcome};
pub use confirm::{CodeRefused, Confirmation, Entry, ToPostiz, Viewer};
pub use open::{OpenOutcome, Opened};
pub use poll::{PollOptions, PollOutcome};
pub use revoke::RevokeOutcome;

use registry::{Registry, WokenPolls};
use share::Shares;

/// The grants of this server, with everything that decides about them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DeviceFlow {
    store: Store,
    postiz: Arc<Postiz>,
    registry: Arc<Registry>,
    capacity: Capacity,
    shares: Arc<Shares>,
    registrations: Arc<Shares>,
    limits: Arc<Limits>,
    metrics: GrantMetrics,
    limit_metrics: LimitMetrics,
    device_code_ttl: Duration,
    long_poll: Duration,
    started: Instant,
    /// Cancelled when the server stops: held polls are answered then.
    stopping: CancellationToken,
    /// Work that goes on although its client has disconnected.
    unfinished: TaskTracker,
    /// For such work. The web server's workers end before it.
    runtime: Handle,
}

/// Where a decision was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum Origin {
    OurPage,
    Postiz,
    /// A callback in a browser that did not confirm the login.
    WrongBrowser,
    /// A row that was changed in the database.
    AlteredRow,
    Operator,
    /// It has counted and logged the decision.
    OtherReplica,
}

impl DeviceFlow {
    pub fn new(config: &Config, store: Store, postiz: Postiz, capacity: Capacity, runtime: &Handle) -> Self {
        Self {
            store,
            postiz: Arc::new(postiz),
            registry: Arc::new(Registry::new(capacity)),
            capacity,
            shares: Arc::new(Shares::new(config.database_pool_size)),
            registrations: Arc::new(Shares::new(MAX_REGISTRATIONS)),
            limits: Arc::new(Limits::new(config.rate_limit_codes)),
            metrics: GrantMetrics::default(),
            limit_metrics: LimitMetrics::default(),
            device_code_ttl: config.device_code_ttl,
            long_poll: config.long_poll,
            started: Instant::now(),
            stopping: CancellationToken::new(),
            unfinished: TaskTracker::new(),
            runtime: runtime.clone(),
        }
    }

    /// The same for the requests of a worker with this runtime.
    #[must_use]
    pub fn for_worker(&self, runtime: &Handle) -> Self {
        Self { store: self.store.for_worker(runtime), ..self.clone() }
    }

    /// Wakes the held polls of a decided grant, counts the decision and logs it. Nothing else does any of the three.
    fn decided(&self, grant: GrantId, decision: Decision, origin: Origin) -> WokenPolls {
        if origin != Origin::OtherReplica {
            self.metrics.count(match decision {
                Decision::Approved => GrantEvent::Approved,
                Decision::Denied => GrantEvent::Denied,
                Decision::Revoked => GrantEvent::Revoked,
            });
            let (decision, origin): (&str, &str) = (decision.into(), origin.into());
            info!(grant = grant.reference(), origin, "grant {decision}");
        }
        self.registry.wake(grant, decision)
    }

    /// Runs work to its end even if its client disconnects; `None` if it panicked.
    async fn finish<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.background(work).await.ok()
    }

    /// Runs work to its end that no client waits for.
    fn background<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.spawn(self.unfinished.track_future(work).in_current_span())
    }

    /// Runs a statement within its client's share of the database connections. Refuses it if the share stays in use, or if
    /// too many statements wait already.
    async fn fairly<T>(
        &self,
        client: Option<IpAddr>,
        statement: impl Future<Output = Result<T, DatabaseError>>,
    ) -> Result<T, DatabaseError> {
        let Some(_place) = self.shares.enter(client).await else {
            // Statements that fail slowly are no flood.
            if !self.store.database().load().available {
                return Err(DatabaseError::Unavailable);
            }
            self.limited(Limit::NetworkStatements);
            return Err(DatabaseError::Overloaded);
        };
        let answer = if self.store.database().has_room() { statement.await } else { Err(DatabaseError::Overloaded) };
        if matches!(answer, Err(DatabaseError::Overloaded)) {
            self.limited(Limit::Statements);
        }
        answer
    }

    /// The key by which `check` recognises this server, read within the client's share: any client can cause it.
    pub async fn self_check_key(&self, client: Option<IpAddr>) -> Option<Secret> {
        self.fairly(client, self.store.database().self_check_key()).await.ok()?
    }

    fn limited(&self, limit: Limit) {
        self.limit_metrics.count(limit);
    }

    /// Held polls are answered now, and later polls at once.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Cancelled by [`Self::stop`].
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Returns when the work of disconnected clients is done; false if `limit` was not enough.
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

    pub fn limit_metrics(&self) -> &LimitMetrics {
        &self.limit_metrics
    }

    /// How many polls may be held.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// Polls held now, and the memory that they are accounted with.
    pub fn held_polls(&self) -> Usage {
        self.registry.held()
    }
}
