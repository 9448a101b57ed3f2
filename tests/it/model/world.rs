//! One story: the terminals, browsers and replicas in it, each step taken for real and in the model.

use postiz_auth_server::grant::{BrowserKey, DeviceCode, SealedToken, State, UserCode};
use postiz_auth_server::secret::Digest;
use postiz_auth_server::store::{Lease, LeaseHolder, Store};

use super::expected::{Expected, Flight};
use super::ground::Ground;
use super::postiz::{Browser, Code, Postiz};
use super::rows::{Passes, Row, pass, read};
use super::step::{Answer, Step};
use crate::secrecy::forms;

const MOST_LOGINS: usize = 6;
const BROWSERS: usize = 3;

pub struct Login {
    pub device_code: DeviceCode,
    pub user_code: UserCode,
    pub expected: Expected,
    /// What Postiz has issued for it, oldest first.
    pub tokens: Vec<String>,
    pub denied: bool,
}

/// A browser on Postiz's consent page.
#[derive(Clone)]
pub struct Consent {
    pub login: usize,
    pub browser: Browser,
    pub state: State,
}

pub struct Issued {
    pub text: String,
    pub consent: Consent,
    /// Whether Postiz's last word on it was written down.
    pub is_finished: bool,
}

/// An exchange in a replica's hands.
pub struct InFlight {
    pub code: Code,
    pub holder: LeaseHolder,
    pub lease: Lease,
    pub stage: Stage,
}

pub enum Stage {
    Claimed,
    Granted(SealedToken),
    Failed { spent: bool },
    Over,
}

pub struct World<'a> {
    pub ground: &'a Ground,
    pub postiz: Postiz,
    pub browsers: Vec<BrowserKey>,
    pub logins: Vec<Login>,
    pub consents: Vec<Consent>,
    pub codes: Vec<Issued>,
    pub flights: Vec<InFlight>,
    /// In every form in which it could stand in a row.
    pub secrets: Vec<String>,
}

/// An index below `of`, counted from the newest; `None` if `of` is 0.
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

    pub fn store(&self, at: usize) -> &'a Store {
        &self.ground.stores[at % 2]
    }

    pub fn keep_secret(&mut self, secret: &str) {
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
            Step::FinishExchange { flight, at } => {
                if let Some(flight) = self.pick_flight(flight) {
                    self.finish_exchange(flight, at).await;
                }
            }
            Step::SettleAndDeny { flight } => {
                if let Some(flight) = self.pick_flight(flight) {
                    self.exchange_and_deny_at_once(flight).await;
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
            Step::CleanUp { at } => {
                self.store(at).delete_grants(500).await.unwrap();
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
        assert_eq!(rows.len(), living, "a grant that is not due was deleted");
        for secret in &self.secrets {
            assert!(!text.contains(secret), "a secret stands in a row: {text}");
        }
    }

    /// After every story, approved grants are delivered, and undecided ones can still be approved.
    pub async fn finish(mut self) {
        for flight in 0..self.flights.len() {
            self.flights[flight].stage = Stage::Over;
        }
        for login in 0..self.logins.len() {
            self.run_out(login).await;
            let expected = &self.logins[login].expected;
            if expected.is_open() && expected.takes_codes() {
                self.begin(login, 0, login).await;
                self.authorize(self.consents.len() - 1);
                self.callback(self.codes.len() - 1, 1).await;
                let flight = self.flights.len() - 1;
                self.exchange(flight, Answer::Heard);
                self.finish_exchange(flight, login + 1).await;
                let token = self.poll(login, 1).await.expect("the token");
                assert!(self.postiz.is_live(&token), "the terminal got the token that works");
            } else {
                self.poll(login, 2).await;
            }
            self.check().await;
        }
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
