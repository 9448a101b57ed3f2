//! The stand-in's memory: one row for each person, and a record of the requests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use crate::postiz::token_request::TokenRequest;
use crate::postiz::{Fault, Subscription, Trial};

const CODE_LIFETIME: Duration = Duration::from_mins(10);

/// The fields of a query or a form, in their order.
pub(super) type Fields = Vec<(String, String)>;

/// An OAuth app at Postiz.
#[derive(Debug, Clone)]
pub struct RegisteredApp {
    /// `pca_...` is an app made by hand. `pcd_...` is a dynamically registered one, for which PKCE is required.
    pub client_id: String,
    pub client_secret: String,
    pub redirect_uri: String,
}

/// A step of a login, as the stand-in sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    ConsentShown,
    /// The person pressed Authorize, which also ends their older token.
    Approved,
    Denied,
    Exchanged,
    ExchangeRefused,
    /// A request to the API had a valid token.
    TokenUsed,
}

/// One request to the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The authorization code; empty if the request could not be parsed.
    pub code: String,
    pub redirect_uri: Option<String>,
    /// Whether the PKCE verifier and `redirect_uri` match those of the consent page.
    pub verifier_matches: bool,
    /// Whether the code was spent for a token, even if the answer was lost.
    pub granted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    InvalidClient,
    InvalidGrant,
}

/// One browser is one person with one organization. Counted from 1.
pub(super) type Person = usize;

/// Authorize sets the code and clears the token. An exchange does the reverse.
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
    fn matches(&self, request: &TokenRequest) -> bool {
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
    pub(super) subscription: Subscription,
    pub(super) trials: Vec<Trial>,
    /// The `Cookie` headers at the token endpoint.
    pub(super) cookies: Vec<String>,
    people: HashMap<Person, Row>,
    /// The person of each valid code.
    owners: HashMap<String, Person>,
    people_seen: Person,
}

#[derive(Debug)]
pub(super) struct State {
    memory: Mutex<Memory>,
    pub(super) exchange_recorded: Notify,
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
            subscription: Subscription::default(),
            trials: Vec::new(),
            cookies: Vec::new(),
            people: HashMap::new(),
            owners: HashMap::new(),
            people_seen: 0,
        };
        Self { memory: Mutex::new(memory), exchange_recorded: Notify::new(), events }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn report(&self, event: Event) {
        if let Some(events) = &self.events {
            let _ = events.send(event);
        }
    }
}

impl Memory {
    pub(super) fn new_person(&mut self) -> Person {
        self.people_seen += 1;
        self.people_seen
    }

    /// Checks the client id and, for a dynamically registered app, `redirect_uri` and PKCE.
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

    /// Issues a code. The person's older code and older token end.
    pub(super) fn approve(&mut self, person: Person, fields: &Fields) -> String {
        let owned = |name| value(fields, name).map(str::to_owned);
        let text = random_text();
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

    /// Finds the person of a code without spending it. The credentials are checked first, so that a wrong secret reveals
    /// nothing about the code.
    pub(super) fn find(&self, request: &TokenRequest) -> Result<Person, Refusal> {
        if request.client_id != self.app.client_id || request.client_secret != self.app.client_secret {
            return Err(Refusal::InvalidClient);
        }
        let (person, code) = self.code(&request.code).ok_or(Refusal::InvalidGrant)?;
        let bound = !self.is_dynamic() || code.matches(request);
        if bound && code.issued_at.elapsed() < CODE_LIFETIME { Ok(person) } else { Err(Refusal::InvalidGrant) }
    }

    /// Spends the person's code for a token. Of two exchanges that have both found the code, the later one's token works.
    pub(super) fn grant(&mut self, person: Person) -> String {
        let token = format!("pos_{}", random_text());
        self.replace(person, Row { code: None, token: Some(token.clone()) });
        self.issued.push(token.clone());
        token
    }

    pub(super) fn matches(&self, request: &TokenRequest) -> bool {
        self.code(&request.code).is_some_and(|(_, code)| code.matches(request))
    }

    pub(super) fn is_live(&self, token: &str) -> bool {
        self.people.values().any(|row| row.token.as_deref() == Some(token))
    }

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

fn random_text() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// The PKCE challenge of a verifier (RFC 7636, section 4.2).
fn s256(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}
