//! The stand-in's memory: one row for each client and person, and a record of the requests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use crate::postiz::token_request::TokenRequest;
use crate::postiz::{Fault, Subscription, Trial};

/// The name of the app that was made by hand.
pub(super) const APP_NAME: &str = "postiz-auth-server";
/// Postiz cuts longer names of clients.
const MAX_NAME_CHARS: usize = 100;
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

/// A client that registered itself (RFC 7591).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredClient {
    /// `pcd_...`
    pub client_id: String,
    /// The consent page shows it.
    pub client_name: String,
    pub redirect_uris: Vec<String>,
    /// `None` for a public client.
    pub(super) client_secret: Option<String>,
}

/// Which OAuth metadata is published, by versions of Postiz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metadata {
    /// Its main branch since August 2026: with `registration_endpoint`.
    WithRegistration,
    /// v2.23.0: without `registration_endpoint`. Registration is 404.
    WithoutRegistration,
    /// v2.21.5 to v2.22.1: the same, at the path without `/mcp-oauth`.
    WithoutSuffix,
    /// Older: none.
    Missing,
}

/// A step of a login, as the stand-in sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Registered,
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
    pub client_id: String,
    /// Whether a client secret was sent.
    pub has_secret: bool,
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

/// A person's grant to one client. Tokens belong to (client, user, organization).
pub(super) type Account = (String, Person);

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
    pub(super) clients: Vec<RegisteredClient>,
    pub(super) metadata: Metadata,
    /// `DCR_VERIFIED_DOMAINS` is set, and names none of the hosts that register.
    pub(super) verifies_domains: bool,
    pub(super) registrations_begun: usize,
    pub(super) registration_faults: VecDeque<Fault>,
    pub(super) signed_in: bool,
    pub(super) issued: Vec<String>,
    pub(super) exchanges: Vec<Exchange>,
    pub(super) authorizations: Vec<Fields>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) subscription: Subscription,
    pub(super) trials: Vec<Trial>,
    /// The `Cookie` headers at the token endpoint.
    pub(super) cookies: Vec<String>,
    accounts: HashMap<Account, Row>,
    /// The account of each valid code.
    owners: HashMap<String, Account>,
    people_seen: Person,
}

#[derive(Debug)]
pub(super) struct State {
    memory: Mutex<Memory>,
    pub(super) exchange_recorded: Notify,
    pub(super) registration_recorded: Notify,
    events: Option<UnboundedSender<Event>>,
}

impl State {
    pub(super) fn new(app: RegisteredApp, events: Option<UnboundedSender<Event>>) -> Self {
        let memory = Memory {
            app,
            clients: Vec::new(),
            metadata: Metadata::WithRegistration,
            verifies_domains: false,
            registrations_begun: 0,
            registration_faults: VecDeque::new(),
            signed_in: true,
            issued: Vec::new(),
            exchanges: Vec::new(),
            authorizations: Vec::new(),
            faults: VecDeque::new(),
            subscription: Subscription::default(),
            trials: Vec::new(),
            cookies: Vec::new(),
            accounts: HashMap::new(),
            owners: HashMap::new(),
            people_seen: 0,
        };
        Self {
            memory: Mutex::new(memory),
            exchange_recorded: Notify::new(),
            registration_recorded: Notify::new(),
            events,
        }
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

    /// Checks the client id and, for a dynamically registered client, `redirect_uri` and PKCE. Returns the client's name and
    /// where its people are sent back to.
    pub(super) fn check(&self, fields: &Fields) -> Result<(&str, &str), &'static str> {
        let (name, redirect_uris) = self.client(value(fields, "client_id")).ok_or("Invalid client_id")?;
        if !value(fields, "client_id").is_some_and(is_dynamic) {
            return Ok((name, redirect_uris[0]));
        }
        let asked = value(fields, "redirect_uri");
        let Some(redirect_uri) = redirect_uris.into_iter().find(|registered| asked == Some(registered)) else {
            return Err("Invalid redirect_uri");
        };
        if value(fields, "code_challenge").is_none_or(str::is_empty) {
            return Err("code_challenge is required for this client");
        }
        if value(fields, "code_challenge_method") != Some("S256") {
            return Err("Only the S256 code_challenge_method is supported");
        }
        Ok((name, redirect_uri))
    }

    /// A client's name and redirect URIs.
    fn client(&self, client_id: Option<&str>) -> Option<(&str, Vec<&str>)> {
        let client_id = client_id?;
        if client_id == self.app.client_id {
            return Some((APP_NAME, vec![&self.app.redirect_uri]));
        }
        let client = self.clients.iter().find(|client| client.client_id == client_id)?;
        Some((&client.client_name, client.redirect_uris.iter().map(String::as_str).collect()))
    }

    /// Registers a client. Its id is new.
    pub(super) fn register(&mut self, name: &str, redirect_uris: Vec<String>, is_public: bool) -> RegisteredClient {
        let client = RegisteredClient {
            client_id: format!("pcd_{}", random_text()),
            client_name: name.chars().take(MAX_NAME_CHARS).collect(),
            redirect_uris,
            client_secret: (!is_public).then(|| format!("pcs_{}", random_text())),
        };
        self.clients.push(client.clone());
        client
    }

    /// Issues a code. The person's older code and older token for this client end.
    pub(super) fn approve(&mut self, person: Person, fields: &Fields) -> String {
        let owned = |name| value(fields, name).map(str::to_owned);
        let text = random_text();
        let code = Code {
            text: text.clone(),
            challenge: owned("code_challenge"),
            redirect_uri: owned("redirect_uri"),
            issued_at: Instant::now(),
        };
        let account = (owned("client_id").unwrap_or_default(), person);
        self.owners.insert(text.clone(), account.clone());
        self.replace(account, Row { code: Some(code), token: None });
        text
    }

    /// Finds the account of a code without spending it. The credentials are checked first, so that a wrong secret reveals
    /// nothing about the code.
    pub(super) fn find(&self, request: &TokenRequest) -> Result<Account, Refusal> {
        if !self.authenticates(request) {
            return Err(Refusal::InvalidClient);
        }
        let (account, code) = self.code(&request.code).ok_or(Refusal::InvalidGrant)?;
        let bound = account.0 == request.client_id && (!is_dynamic(&request.client_id) || code.matches(request));
        if bound && code.issued_at.elapsed() < CODE_LIFETIME { Ok(account.clone()) } else { Err(Refusal::InvalidGrant) }
    }

    /// A public client is known by its id alone; a secret that comes with it is ignored.
    fn authenticates(&self, request: &TokenRequest) -> bool {
        let given = request.client_secret.as_deref();
        if request.client_id == self.app.client_id {
            return given == Some(&self.app.client_secret);
        }
        let client = self.clients.iter().find(|client| client.client_id == request.client_id);
        client.is_some_and(|client| client.client_secret.is_none() || client.client_secret.as_deref() == given)
    }

    /// Spends the account's code for a token. Of two exchanges that have both found the code, the later one's token works.
    pub(super) fn grant(&mut self, account: Account) -> String {
        let token = format!("pos_{}", random_text());
        self.replace(account, Row { code: None, token: Some(token.clone()) });
        self.issued.push(token.clone());
        token
    }

    pub(super) fn matches(&self, request: &TokenRequest) -> bool {
        self.code(&request.code).is_some_and(|(_, code)| code.matches(request))
    }

    pub(super) fn is_live(&self, token: &str) -> bool {
        self.accounts.values().any(|row| row.token.as_deref() == Some(token))
    }

    pub(super) fn expire_codes(&mut self) {
        for row in self.accounts.values_mut() {
            row.code = None;
        }
        self.owners.clear();
    }

    fn replace(&mut self, account: Account, row: Row) {
        if let Some(Row { code: Some(older), .. }) = self.accounts.insert(account, row) {
            self.owners.remove(&older.text);
        }
    }

    fn code(&self, text: &str) -> Option<(&Account, &Code)> {
        let account = self.owners.get(text)?;
        Some((account, self.accounts.get(account)?.code.as_ref()?))
    }
}

/// Whether a client was registered dynamically: PKCE and an exact `redirect_uri` are demanded of it.
pub(super) fn is_dynamic(client_id: &str) -> bool {
    client_id.starts_with("pcd_")
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
