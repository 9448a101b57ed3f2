//! The web: one file for each endpoint, and what they share.
//!
//! | file | what it answers |
//! |---|---|
//! | [`code`] | `POST /device/code`: a terminal starts a login |
//! | [`verify`] | `/device/verify`: a person confirms the code |
//! | [`callback`] | `GET /device/callback`: Postiz sends the person back |
//! | [`token`] | `POST /device/token`: the terminal polls |
//! | [`health`] | `/health`, `/health/live`: load balancers |
//! | [`docs`] | `/docs`, `/openapi.yaml`: all of this, described |
//! | [`self_check`] | `/health/mirror`: our own `check` |
//! | [`metadata`] | `/.well-known/oauth-authorization-server`, `/` |
//!
//! Two enums are the only failures that a handler can answer with: [`errors::ClientError`] for
//! programs, [`pages::Page`] for people.

pub mod browser_cookie;
pub mod callback;
pub mod client_ip;
pub mod code;
pub mod dialect;
pub mod docs;
pub mod errors;
pub mod headers;
pub mod health;
pub mod lean;
pub mod metadata;
pub mod own_form;
pub mod pages;
pub mod params;
pub mod poll;
pub mod routes;
pub mod self_check;
pub mod token;
pub mod trace;
pub mod typing;
pub mod verify;
pub mod visitor;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::config::{BaseUrl, Config};
use crate::limits::Limits;
use crate::metrics::{GrantMetrics, LimitMetrics};
use crate::postiz::Postiz;
use crate::store::Store;
use crate::waiters::Waiters;

use client_ip::ClientIp;
use health::Health;
use self_check::SelfCheckKey;
use typing::Typing;

/// What the handlers need; filled by the app, shared by all workers.
#[derive(Debug)]
pub struct Deps {
    /// The grants.
    pub store: Store,
    /// Where people approve.
    pub postiz: Postiz,
    /// Terminals that wait here.
    pub waiters: Arc<Waiters>,
    /// What becomes of logins.
    pub logins: GrantMetrics,
    /// How often limits were met.
    pub limit_metrics: LimitMetrics,
    /// What `/health` says.
    pub health: Health,
    /// What a client may do in a minute.
    pub limits: Arc<Limits>,
    /// Marks a code that a person has typed once.
    pub typing: Typing,
    /// Who a request comes from.
    pub client_ip: ClientIp,
    pub self_check_key: SelfCheckKey,
    /// Where people and terminals reach us.
    pub server_url: BaseUrl,
    /// Where people see Postiz: the one foreign place that our forms may lead to.
    pub frontend_url: BaseUrl,
    /// What the terminal is to use with its token.
    pub api_url: BaseUrl,
    /// How long a poll may be held; zero never holds one.
    pub long_poll: Duration,
    /// How long a login lives.
    pub device_code_ttl: Duration,
    /// Cancelled when the server is to stop: held polls are answered then.
    pub stopping: CancellationToken,
    /// Work that must be finished although its client has gone away.
    pub unfinished: TaskTracker,
    /// The runtime that such work runs on; the workers' own end with them.
    pub runtime: Handle,
}

impl Deps {
    /// Fills in what the configuration decides.
    pub fn new(config: &Config, store: Store, postiz: Postiz, waiters: Arc<Waiters>, runtime: Handle) -> Self {
        let stopping = CancellationToken::new();
        Self {
            health: Health::new(store.clone(), stopping.clone()),
            limits: Arc::new(Limits::new(config.rate_limit_codes)),
            typing: Typing::new(config),
            client_ip: ClientIp::new(config),
            self_check_key: SelfCheckKey::new(&config.client_secret),
            store,
            postiz,
            waiters,
            logins: GrantMetrics::default(),
            limit_metrics: LimitMetrics::default(),
            server_url: config.server_url.clone(),
            frontend_url: config.frontend_url.clone(),
            api_url: config.api_url.clone(),
            long_poll: config.long_poll,
            device_code_ttl: config.device_code_ttl,
            stopping,
            unfinished: TaskTracker::new(),
            runtime,
        }
    }

    /// Runs work to its end even where nobody waits for it any more.
    pub(crate) async fn finish<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.runtime.spawn(self.unfinished.track_future(work).in_current_span()).await.ok()
    }
}
