//! What the stand-in remembers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use crate::demo::postiz::Fault;
use crate::secret::Secret;

/// Postiz's codes live ten minutes.
const CODE_LIFE: Duration = Duration::from_mins(10);

/// An app as it is registered at Postiz.
#[derive(Debug, Clone)]
pub struct RegisteredApp {
    /// `pca_...` for one made by hand, `pcd_...` for one registered dynamically, which demands PKCE.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Its callback.
    pub redirect_uri: String,
}

/// A step of a login, as the stand-in sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The consent page was opened.
    ConsentShown,
    /// The person pressed Authorize; the older token works no more.
    Approved,
    /// The person declined.
    Denied,
    /// A code was exchanged for a token.
    Exchanged,
    /// An exchange was refused.
    ExchangeRefused,
    /// A token was used.
    TokenUsed,
}

/// One request to the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The authorization code.
    pub code: String,
    /// The `redirect_uri` that came with it.
    pub redirect_uri: Option<String>,
    /// Whether the PKCE verifier fits the challenge of the consent page.
    pub verifier_fits: bool,
    /// Whether it brought a token, as far as the stand-in is concerned.
    pub granted: bool,
}

/// An authorization code that was handed out.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) challenge: Option<String>,
    pub(super) redirect_uri: Option<String>,
    pub(super) issued_at: Instant,
    pub(super) spent: bool,
}

impl Code {
    pub(super) fn is_good(&self) -> bool {
        !self.spent && self.issued_at.elapsed() < CODE_LIFE
    }
}

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) app: RegisteredApp,
    pub(super) signed_in: bool,
    pub(super) codes: HashMap<String, Code>,
    pub(super) live_token: Option<String>,
    pub(super) issued: Vec<String>,
    pub(super) exchanges: Vec<Exchange>,
    pub(super) authorizations: Vec<Vec<(String, String)>>,
    pub(super) faults: VecDeque<Fault>,
}

#[derive(Debug)]
pub(super) struct State {
    memory: Mutex<Memory>,
    pub(super) exchange_seen: Notify,
    events: Option<UnboundedSender<Event>>,
}

impl State {
    pub(super) fn new(app: RegisteredApp, events: Option<UnboundedSender<Event>>) -> Self {
        let memory = Memory {
            app,
            signed_in: true,
            codes: HashMap::new(),
            live_token: None,
            issued: Vec::new(),
            exchanges: Vec::new(),
            authorizations: Vec::new(),
            faults: VecDeque::new(),
        };
        Self { memory: Mutex::new(memory), exchange_seen: Notify::new(), events }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, event: Event) {
        if let Some(events) = &self.events {
            let _ = events.send(event);
        }
    }
}

impl Memory {
    /// Authorize was pressed: a new code, and the person's older token is gone.
    pub(super) fn approve(&mut self, challenge: Option<String>, redirect_uri: Option<String>) -> String {
        let code = Secret::random().to_base64url();
        let issued = Code { challenge, redirect_uri, issued_at: Instant::now(), spent: false };
        self.codes.insert(code.clone(), issued);
        self.live_token = None;
        code
    }

    /// Spends a code for the one token that works from now on.
    pub(super) fn spend(&mut self, code: &str) -> String {
        if let Some(code) = self.codes.get_mut(code) {
            code.spent = true;
        }
        let token = format!("pos_{}", Secret::random().to_base64url());
        self.live_token = Some(token.clone());
        self.issued.push(token.clone());
        token
    }
}
