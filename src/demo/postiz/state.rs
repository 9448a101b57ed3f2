//! What the stand-in remembers: one row for each person, and what it was asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use crate::demo::postiz::Fault;
use crate::demo::postiz::token_request::TokenRequest;
use crate::secret::{Digest, Secret};

/// Postiz's codes live ten minutes.
const CODE_LIFE: Duration = Duration::from_mins(10);

/// A query or a form, as it came.
pub(super) type Fields = Vec<(String, String)>;

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
    /// The authorization code; empty in a request that could not be read.
    pub code: String,
    /// The `redirect_uri` that came with it.
    pub redirect_uri: Option<String>,
    /// Whether PKCE verifier and `redirect_uri` fit what the consent page was told.
    pub verifier_fits: bool,
    /// Whether it brought a token, as far as the stand-in is concerned.
    pub granted: bool,
}

/// Why a code is not exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    InvalidClient,
    InvalidGrant,
}

/// Who pressed Authorize: one browser, one person, one organization. Counted from 1.
pub(super) type Person = usize;

/// Authorize overwrites the code and clears the token; an exchange does the reverse.
#[derive(Debug, Default)]
struct Row {
    code: Option<Code>,
    token: Option<String>,
}

#[derive(Debug)]
struct Code {
    text: String,
    challenge: Option<String>,
    redirect_uri: Option<String>,
    issued_at: Instant,
}

impl Code {
    fn fits(&self, request: &TokenRequest) -> bool {
        let hashed = request.code_verifier.as_deref().map(s256);
        hashed.is_some() && hashed == self.challenge && request.redirect_uri == self.redirect_uri
    }
}

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) app: RegisteredApp,
    pub(super) signed_in: bool,
    pub(super) issued: Vec<String>,
    pub(super) exchanges: Vec<Exchange>,
    pub(super) authorizations: Vec<Fields>,
    pub(super) faults: VecDeque<Fault>,
    people: HashMap<Person, Row>,
    /// Whose each live code is.
    owners: HashMap<String, Person>,
    people_seen: Person,
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
            issued: Vec::new(),
            exchanges: Vec::new(),
            authorizations: Vec::new(),
            faults: VecDeque::new(),
            people: HashMap::new(),
            owners: HashMap::new(),
            people_seen: 0,
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
    /// A browser that was not here before.
    pub(super) fn new_person(&mut self) -> Person {
        self.people_seen += 1;
        self.people_seen
    }

    /// Whether the app is registered and, if it registered itself, sends what it has to.
    pub(super) fn check(&self, fields: &Fields) -> Result<(), &'static str> {
        if value(fields, "client_id") != Some(&self.app.client_id) {
            return Err("Invalid client_id");
        }
        if !self.is_dynamic() {
            return Ok(());
        }
        if value(fields, "redirect_uri") != Some(&self.app.redirect_uri) {
            return Err("Invalid redirect_uri");
        }
        if value(fields, "code_challenge").is_none_or(str::is_empty) {
            return Err("code_challenge is required for this client");
        }
        if value(fields, "code_challenge_method") != Some("S256") {
            return Err("Only the S256 code_challenge_method is supported");
        }
        Ok(())
    }

    /// Authorize was pressed: a new code, and the person's older token is gone, as is an older code.
    pub(super) fn approve(&mut self, person: Person, fields: &Fields) -> String {
        let owned = |name| value(fields, name).map(str::to_owned);
        let text = Secret::random().to_base64url();
        let code = Code {
            text: text.clone(),
            challenge: owned("code_challenge"),
            redirect_uri: owned("redirect_uri"),
            issued_at: Instant::now(),
        };
        self.owners.insert(text.clone(), person);
        self.replace(person, Row { code: Some(code), token: None });
        text
    }

    /// Whose code it is, without spending it: the credentials come first, so a wrong secret tells nothing of the code.
    pub(super) fn find(&self, request: &TokenRequest) -> Result<Person, Refusal> {
        if request.client_id != self.app.client_id || request.client_secret != self.app.client_secret {
            return Err(Refusal::InvalidClient);
        }
        let (person, code) = self.code(&request.code).ok_or(Refusal::InvalidGrant)?;
        let bound = !self.is_dynamic() || code.fits(request);
        if bound && code.issued_at.elapsed() < CODE_LIFE { Ok(person) } else { Err(Refusal::InvalidGrant) }
    }

    /// Spends the person's code for the one token that works from now on. Of two exchanges that had both found the code,
    /// the later one's works.
    pub(super) fn grant(&mut self, person: Person) -> String {
        let token = format!("pos_{}", Secret::random().to_base64url());
        self.replace(person, Row { code: None, token: Some(token.clone()) });
        self.issued.push(token.clone());
        token
    }

    pub(super) fn fits(&self, request: &TokenRequest) -> bool {
        self.code(&request.code).is_some_and(|(_, code)| code.fits(request))
    }

    pub(super) fn is_live(&self, token: &str) -> bool {
        self.people.values().any(|row| row.token.as_deref() == Some(token))
    }

    /// A code that is too old is as good as none.
    pub(super) fn expire_codes(&mut self) {
        for row in self.people.values_mut() {
            row.code = None;
        }
        self.owners.clear();
    }

    fn replace(&mut self, person: Person, row: Row) {
        if let Some(Row { code: Some(older), .. }) = self.people.insert(person, row) {
            self.owners.remove(&older.text);
        }
    }

    fn is_dynamic(&self) -> bool {
        self.app.client_id.starts_with("pcd_")
    }

    fn code(&self, text: &str) -> Option<(Person, &Code)> {
        let person = *self.owners.get(text)?;
        Some((person, self.people.get(&person)?.code.as_ref()?))
    }
}

pub(super) fn value<'a>(fields: &'a Fields, wanted: &str) -> Option<&'a str> {
    fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

fn s256(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).as_bytes())
}
