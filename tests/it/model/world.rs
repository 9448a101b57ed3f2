//! One story: the terminals, browsers and replicas in it, each step taken for real and in the model.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use postiz_auth_server::grant::{BrowserKey, Credentials, DeviceCode, SealedToken, Standing, State, Status, UserCode};
use postiz_auth_server::secret::{Digest, Secret};
use postiz_auth_server::store::{Approval, Callback, Decision, Entered, Lease, LeaseHolder, Store};
use secrecy::ExposeSecret as _;
use tokio_postgres::Client;

use super::expected::{Expected, Flight, Told};
use super::postiz::{Browser, Code, Postiz};
use super::rows::{Passes, Row, pass, read};
use super::step::{Answer, Step};
use crate::secrecy::forms;
use crate::support::{Database, connect};

const PATIENCE: Duration = Duration::from_secs(5);
const MOST_LOGINS: usize = 6;
const BROWSERS: usize = 3;

/// What all stories share.
pub struct Ground {
    stores: [Store; 2],
    client: Client,
    seen: Mutex<Seen>,
    _database: Database,
}

/// What has happened in all stories together.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    stories: u32,
    steps: u32,
    claims: u32,
    takeovers: u32,
    taken_back: u32,
    deliveries: u32,
    denials: u32,
    superseded: u32,
}

impl Seen {
    pub fn is_worth_something(&self) -> bool {
        [self.claims, self.takeovers, self.deliveries, self.denials].iter().all(|count| *count > 0)
    }
}

impl Ground {
    pub async fn new() -> Self {
        let database = Database::new().await;
        let stores = [database.store(), database.store()];
        stores[0].migrate().await.unwrap();
        Self { client: connect(&database.url()).await, stores, seen: Mutex::default(), _database: database }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, what: impl FnOnce(&mut Seen) -> &mut u32) {
        *what(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner)) += 1;
    }
}

struct Login {
    device_code: DeviceCode,
    user_code: UserCode,
    expected: Expected,
    /// What Postiz has issued for it, oldest first.
    tokens: Vec<String>,
    denied: bool,
}

/// A browser on Postiz's consent page.
#[derive(Clone)]
struct Consent {
    login: usize,
    browser: Browser,
    state: State,
}

struct Issued {
    text: String,
    consent: Consent,
    /// Whether Postiz's last word on it was written down.
    settled: bool,
}

/// An exchange in a replica's hands.
struct InFlight {
    code: Code,
    holder: LeaseHolder,
    lease: Lease,
    stage: Stage,
}

enum Stage {
    Claimed,
    Granted(SealedToken),
    Failed { spent: bool },
    Over,
}

pub struct World<'a> {
    ground: &'a Ground,
    postiz: Postiz,
    browsers: Vec<BrowserKey>,
    logins: Vec<Login>,
    consents: Vec<Consent>,
    codes: Vec<Issued>,
    flights: Vec<InFlight>,
    /// In every form in which it could stand in a row.
    secrets: Vec<String>,
}

/// One of so many, counted from the newest, or none of none.
fn pick(number: usize, of: usize) -> Option<usize> {
    number.checked_rem(of).map(|number| of - 1 - number)
}

impl<'a> World<'a> {
    pub async fn new(ground: &'a Ground) -> Self {
        ground.client.batch_execute("DELETE FROM device_requests").await.unwrap();
        let browsers: Vec<_> = (0..BROWSERS).map(|_| BrowserKey::random()).collect();
        let secrets = browsers.iter().flat_map(|browser| forms(&browser.to_cookie())).collect();
        ground.count(|seen| &mut seen.stories);
        let (logins, consents, codes, flights) = Default::default();
        let mut world = Self { ground, postiz: Postiz::default(), browsers, logins, consents, codes, flights, secrets };
        world.open(0).await;
        world
    }

    fn store(&self, at: usize) -> &'a Store {
        &self.ground.stores[at % 2]
    }

    fn keep_secret(&mut self, secret: &str) {
        self.secrets.extend(forms(secret));
    }

    pub async fn take(&mut self, step: Step) {
        self.ground.count(|seen| &mut seen.steps);
        match step {
            Step::Open { at } if self.logins.len() < MOST_LOGINS => self.open(at).await,
            Step::Open { .. } => {}
            Step::Begin { login, browser, at } => self.begin(self.login(login), browser % BROWSERS, at).await,
            Step::Deny { login, at } => self.deny(self.login(login), at).await,
            Step::DenyAtPostiz { consent, at } => {
                if let Some(consent) = pick(consent, self.consents.len()) {
                    self.deny_at_postiz(consent, at).await;
                }
            }
            Step::Authorize { consent } => {
                if let Some(consent) = pick(consent, self.consents.len()) {
                    self.authorize(consent);
                }
            }
            Step::Callback { code, times } => {
                if let Some(code) = pick(code, self.codes.len()) {
                    self.callback(code, times).await;
                }
            }
            Step::CallbackElsewhere { code, browser, at } => {
                if let Some(code) = pick(code, self.codes.len()) {
                    self.callback_elsewhere(code, browser % BROWSERS, at).await;
                }
            }
            Step::Poll { login, times } => {
                self.poll(self.login(login), times).await;
            }
            Step::ClaimAgain { flight, at } => {
                if let Some(flight) = self.pick_flight(flight) {
                    self.claim_again(flight, at).await;
                }
            }
            Step::Exchange { flight, answer } => {
                if let Some(flight) = self.pick_flight(flight) {
                    self.exchange(flight, answer);
                }
            }
            Step::Settle { flight, at } => {
                if let Some(flight) = self.pick_flight(flight) {
                    self.settle(flight, at).await;
                }
            }
            Step::SettleAndDeny { flight } => {
                if let Some(flight) = self.pick_flight(flight) {
                    self.settle_and_deny(flight).await;
                }
            }
            Step::Crash { flight } => {
                if let Some(flight) = self.pick_flight(flight) {
                    self.flights[flight].stage = Stage::Over;
                }
            }
            Step::RunOut { login } => self.run_out(self.login(login)).await,
            Step::Expire { login } => {
                let login = self.login(login);
                pass(&self.ground.client, self.logins[login].device_code.grant_id(), Passes::Expiry).await;
                self.logins[login].expected.expired = true;
            }
            Step::Due { login } => self.fall_due(self.login(login)).await,
            Step::Sweep { at } => {
                self.store(at).sweep().await.unwrap();
                for login in &mut self.logins {
                    login.expected.gone |= login.expected.due;
                }
            }
        }
    }

    /// The rows are as the model has them, and hold no secret.
    pub async fn check(&self) {
        let (rows, text) = read(&self.ground.client).await;
        let mut living = 0;
        for login in self.logins.iter().filter(|login| !login.expected.gone) {
            living += 1;
            let codes = login.expected.codes.iter().map(|code| Digest::of(self.codes[*code].text.as_bytes()));
            let expected = Row::of(&login.expected, codes.collect());
            assert_eq!(rows.get(&login.device_code.grant_id()), Some(&expected));
        }
        assert_eq!(rows.len(), living, "what is not due is not swept");
        for secret in &self.secrets {
            assert!(!text.contains(secret), "a secret stands in a row: {text}");
        }
    }

    /// Whatever has happened: what was approved is delivered, and what is undecided can still be approved.
    pub async fn finish(mut self) {
        for flight in 0..self.flights.len() {
            self.flights[flight].stage = Stage::Over;
        }
        for login in 0..self.logins.len() {
            self.run_out(login).await;
            if self.logins[login].expected.is_open() {
                self.begin(login, 0, login).await;
                self.authorize(self.consents.len() - 1);
                self.callback(self.codes.len() - 1, 1).await;
                let flight = self.flights.len() - 1;
                self.exchange(flight, Answer::Heard);
                self.settle(flight, login + 1).await;
                let token = self.poll(login, 1).await.expect("the token");
                assert!(self.postiz.is_live(&token), "the terminal got the token that works");
            } else {
                self.poll(login, 2).await;
            }
            self.check().await;
        }
    }

    async fn open(&mut self, at: usize) {
        let (device_code, user_code) = self.store(at).open(None).await.unwrap();
        self.keep_secret(&device_code.to_hex());
        self.logins.push(Login {
            device_code,
            user_code,
            expected: Expected::new(),
            tokens: Vec::new(),
            denied: false,
        });
    }

    async fn begin(&mut self, login: usize, browser: Browser, at: usize) {
        let (code, key) = (self.logins[login].user_code, &self.browsers[browser]);
        let taken = taken(&self.store(at).begin(code, None, key).await.unwrap());
        assert_eq!(taken, self.logins[login].expected.begin(browser));
        if taken {
            let state = key.state(code);
            let verifier = key.code_verifier(&state).to_base64url();
            self.keep_secret(&verifier);
            self.keep_secret(&state.to_query());
            self.consents.push(Consent { login, browser, state });
        }
    }

    async fn deny(&mut self, login: usize, at: usize) {
        let taken = taken(&self.store(at).deny(self.logins[login].user_code, None).await.unwrap());
        assert_eq!(taken, self.logins[login].expected.deny());
        self.denied(login, taken);
    }

    async fn deny_at_postiz(&mut self, consent: usize, at: usize) {
        let Consent { login, browser, state } = self.consents[consent].clone();
        let decision = self.store(at).deny_at_postiz(&state, &self.browsers[browser]).await.unwrap();
        let taken = matches!(decision, Some(Decision::Taken(_)));
        let expected = &mut self.logins[login].expected;
        assert_eq!(taken, expected.browser == Some(browser) && expected.deny());
        self.denied(login, taken);
    }

    fn denied(&mut self, login: usize, taken: bool) {
        if taken {
            self.logins[login].denied = true;
            self.ground.count(|seen| &mut seen.denials);
        }
    }

    fn authorize(&mut self, consent: usize) {
        let consent = self.consents[consent].clone();
        self.postiz.authorize(consent.browser, self.codes.len());
        let text = Secret::random().to_base64url();
        self.keep_secret(&text);
        self.codes.push(Issued { text, consent, settled: false });
    }

    async fn claim(&self, code: Code, browser: Browser, holder: &LeaseHolder, at: usize) -> Callback {
        let Issued { text, consent, .. } = &self.codes[code];
        let (key, digest) = (&self.browsers[browser], Digest::of(text.as_bytes()));
        self.store(at).claim(&consent.state, key, &digest, holder).await.unwrap()
    }

    async fn callback(&mut self, code: Code, times: usize) {
        let Consent { login, browser, .. } = self.codes[code].consent;
        let expected = &self.logins[login].expected;
        let told = expected.callback(code, browser, browser, None);
        let took = (expected.status == Status::Approved, expected.lease.is_some());
        let holders: Vec<_> = (0..times).map(|_| LeaseHolder::random()).collect();
        let found = holders.iter().enumerate().map(|(at, holder)| self.claim(code, browser, holder, at));
        let mut found: Vec<(Callback, &LeaseHolder)> = join_all(found).await.into_iter().zip(&holders).collect();
        let winner = found.iter().position(|(callback, _)| matches!(callback, Callback::Claimed(_)));
        if told == Told::Claimed {
            let (Callback::Claimed(lease), holder) = found.swap_remove(winner.expect("one may exchange it")) else {
                unreachable!("it is the winner")
            };
            let flight = self.flights.len();
            self.nobody_else_exchanges(login);
            assert!(!self.codes[code].settled, "a code is not exchanged after Postiz's word on it");
            self.logins[login].expected.claim(code, flight);
            self.flights.push(InFlight { code, holder: holder.clone(), lease, stage: Stage::Claimed });
            self.ground.count(|seen| &mut seen.claims);
            match took {
                (true, _) => self.ground.count(|seen| &mut seen.taken_back),
                (_, true) => self.ground.count(|seen| &mut seen.takeovers),
                _ => {}
            }
        }
        let others = if told == Told::Claimed { Told::InProgress } else { told };
        for (callback, _) in found {
            assert_eq!(Told::from(&callback), others, "callbacks that come together are told one truth");
        }
    }

    /// Of living replicas, one at most has a code of this login to exchange.
    fn nobody_else_exchanges(&self, login: usize) {
        let exchanging = self.flights.iter().filter(|flight| matches!(flight.stage, Stage::Claimed));
        let of_this = exchanging.filter(|flight| self.codes[flight.code].consent.login == login);
        assert_eq!(of_this.count(), 0, "two exchanges at a time");
    }

    async fn callback_elsewhere(&mut self, code: Code, browser: Browser, at: usize) {
        let Consent { login, browser: owner, .. } = self.codes[code].consent;
        if browser == owner {
            return;
        }
        let found = self.claim(code, browser, &LeaseHolder::random(), at).await;
        assert_eq!(Told::from(&found), self.logins[login].expected.callback(code, owner, browser, None));
        assert!(!matches!(found, Callback::Claimed(_)));
    }

    async fn claim_again(&mut self, flight: Flight, at: usize) {
        let InFlight { code, stage: Stage::Claimed, holder, .. } = &self.flights[flight] else { return };
        let (code, holder) = (*code, holder.clone());
        let Consent { login, browser, .. } = self.codes[code].consent;
        let told = self.logins[login].expected.callback(code, browser, browser, Some(flight));
        let found = self.claim(code, browser, &holder, at).await;
        assert_eq!(Told::from(&found), told);
        if told == Told::Claimed {
            self.logins[login].expected.claim(code, flight);
        }
    }

    fn exchange(&mut self, flight: Flight, answer: Answer) {
        let InFlight { code, stage: Stage::Claimed, .. } = self.flights[flight] else { return };
        let Consent { login, browser, .. } = self.codes[code].consent;
        let granted = if answer == Answer::NeverAsked { None } else { self.postiz.exchange(browser, code) };
        if let Some(token) = &granted {
            self.keep_secret(token);
            self.logins[login].tokens.push(token.clone());
        }
        self.flights[flight].stage = match (answer, granted) {
            (Answer::Heard, Some(token)) => {
                let credentials =
                    Credentials { access_token: token.into(), token_type: "bearer".into(), organization_id: None };
                let lease = &self.flights[flight].lease;
                Stage::Granted(lease.sealing_key.seal(&lease.grant, &credentials).unwrap())
            }
            (Answer::Heard, None) => Stage::Failed { spent: true },
            (Answer::Lost | Answer::NeverAsked, _) => Stage::Failed { spent: false },
        };
    }

    async fn settle(&mut self, flight: Flight, at: usize) {
        let InFlight { code, lease, stage, .. } = &self.flights[flight];
        let (code, lease) = (*code, lease.clone());
        let login = self.codes[code].consent.login;
        match stage {
            Stage::Claimed | Stage::Over => {}
            Stage::Granted(token) => {
                let approval = self.store(at).approve(&lease, token, PATIENCE).await.unwrap();
                assert_eq!(approval, self.logins[login].expected.approve(code));
                self.approved(code, approval);
            }
            Stage::Failed { spent } => {
                let spent = *spent;
                self.store(at).release(&lease, spent).await.unwrap();
                self.logins[login].expected.release(flight, spent);
                self.codes[code].settled |= spent;
                self.flights[flight].stage = Stage::Over;
            }
        }
    }

    fn approved(&mut self, code: Code, approval: Approval) {
        match approval {
            Approval::Approved => self.codes[code].settled = true,
            Approval::Denied => {}
            Approval::Superseded => self.ground.count(|seen| &mut seen.superseded),
        }
    }

    /// Whichever comes first counts, and the other hears of it or of nothing.
    async fn settle_and_deny(&mut self, flight: Flight) {
        let InFlight { code, lease, stage: Stage::Granted(token), .. } = &self.flights[flight] else { return };
        let code = *code;
        let login = self.codes[code].consent.login;
        let (approval, decision) = tokio::join!(
            self.store(0).approve(lease, token, PATIENCE),
            self.store(1).deny(self.logins[login].user_code, None)
        );
        let (approval, denied) = (approval.unwrap(), taken(&decision.unwrap()));
        let expected = &mut self.logins[login].expected;
        if denied {
            assert!(expected.deny());
            assert!(matches!(approval, Approval::Denied | Approval::Superseded), "{approval:?}");
        } else {
            assert_eq!(approval, expected.approve(code));
            assert!(!expected.deny());
        }
        self.approved(code, approval);
        self.denied(login, denied);
    }

    async fn poll(&mut self, login: usize, times: usize) -> Option<String> {
        let Login { device_code, expected, tokens, denied, .. } = &self.logins[login];
        let id = device_code.grant_id();
        let found = join_all((0..times).map(|at| self.store(at).standing(id))).await;
        for standing in found {
            let standing = match standing.unwrap() {
                Some(Standing::Waiting { .. }) => Some(Standing::Waiting { remaining: Duration::ZERO }),
                other => other,
            };
            assert_eq!(standing, expected.standing());
        }
        let ready = expected.standing() == Some(Standing::Ready);
        for sealed in join_all((0..times).map(|at| self.store(at).deliver(id))).await {
            let token = sealed.unwrap().map(|sealed| sealed.token.open(device_code).unwrap().access_token);
            assert_eq!(token.is_some(), ready);
            assert!(token.is_none() || !denied, "a denied login never gets a token");
            let told = token.as_ref().map(|token| token.expose_secret().to_owned());
            assert!(told.is_none() || told.as_ref() == tokens.last(), "it is the last that Postiz issued");
        }
        if !ready {
            return None;
        }
        self.ground.count(|seen| &mut seen.deliveries);
        self.logins[login].expected.status = Status::Delivered;
        self.logins[login].tokens.last().cloned()
    }

    /// A lease outlives the exchange, so it can only run out where its holder is dead or has heard.
    async fn run_out(&mut self, login: usize) {
        if !self.is_exchanging(login) {
            pass(&self.ground.client, self.logins[login].device_code.grant_id(), Passes::Lease).await;
            self.logins[login].expected.lease_over = true;
        }
    }

    async fn fall_due(&mut self, login: usize) {
        if !self.is_exchanging(login) {
            pass(&self.ground.client, self.logins[login].device_code.grant_id(), Passes::LastMinute).await;
            let expected = &mut self.logins[login].expected;
            (expected.expired, expected.due, expected.lease_over) = (true, true, true);
        }
    }

    fn is_exchanging(&self, login: usize) -> bool {
        let holder = self.logins[login].expected.lease.map(|flight| &self.flights[flight]);
        holder.is_some_and(|flight| matches!(flight.stage, Stage::Claimed))
    }

    fn login(&self, number: usize) -> usize {
        self.logins.len() - 1 - number % self.logins.len()
    }

    fn pick_flight(&self, number: usize) -> Option<Flight> {
        let living = |flight: &Flight| !matches!(self.flights[*flight].stage, Stage::Over);
        let living: Vec<Flight> = (0..self.flights.len()).filter(living).collect();
        pick(number, living.len()).map(|at| living[at])
    }
}

fn taken(entered: &Entered<Decision>) -> bool {
    matches!(entered, Entered::Known(Decision::Taken(_)))
}
