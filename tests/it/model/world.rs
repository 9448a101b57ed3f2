//! One story: the terminals, browsers and replicas in it, each step taken for real and in the model.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::future::join_all;
use postiz_auth_server::grant::{BrowserKey, DeviceCode, Done, PollStatus, SealedToken, State, Status, UserCode};
use postiz_auth_server::secret::{Digest, Secret};
use postiz_auth_server::store::{Claim, Delivered, Entered, Lease, LeaseHolder, Store, Which};
use secrecy::ExposeSecret as _;
use tokio_postgres::Client;

use super::expected::{Act, Age, Expected, Found};
use super::{Event, Step};
use crate::secrecy::forms;
use crate::support::{Database, connect, new_grant, sealed};

const MOST_LOGINS: usize = 6;

/// What all stories share: two replicas' stores on one database, and how often what has happened.
pub struct Ground {
    stores: [Store; 2],
    client: Client,
    pub seen: RefCell<BTreeMap<&'static str, u32>>,
}

impl Ground {
    pub async fn new() -> Self {
        let database = Database::new().await;
        let stores = [database.store(), database.store()];
        stores[0].database().migrate().await.unwrap();
        Self { client: connect(&database.url()).await, stores, seen: RefCell::default() }
    }

    fn count(&self, happening: &'static str) {
        *self.seen.borrow_mut().entry(happening).or_default() += 1;
    }
}

struct Login {
    device_code: DeviceCode,
    user_code: UserCode,
    expected: Expected,
    /// What Postiz has issued for it, oldest first.
    tokens: Vec<String>,
}

/// A browser on Postiz's consent page.
#[derive(Clone)]
struct Consent {
    login: usize,
    browser: usize,
    state: State,
}

struct Code {
    text: String,
    consent: Consent,
}

/// An exchange in a replica's hands.
struct Flight {
    code: usize,
    holder: LeaseHolder,
    lease: Lease,
    stage: Stage,
}

#[derive(Clone)]
enum Stage {
    Claimed,
    Granted(SealedToken),
    Failed { spent: bool },
    Over,
}

pub struct World<'a> {
    ground: &'a Ground,
    browsers: Vec<BrowserKey>,
    logins: Vec<Login>,
    consents: Vec<Consent>,
    codes: Vec<Code>,
    flights: Vec<Flight>,
    /// At Postiz, each person (who is a browser) has one good code.
    good_codes: HashMap<usize, usize>,
    /// In every form in which it could stand in a row.
    secrets: Vec<String>,
}

impl<'a> World<'a> {
    pub async fn new(ground: &'a Ground) -> Self {
        ground.client.batch_execute("DELETE FROM device_requests").await.unwrap();
        let browsers: Vec<_> = (0..3).map(|_| BrowserKey::random()).collect();
        let secrets = browsers.iter().flat_map(|browser| forms(&browser.to_cookie())).collect();
        let (logins, consents, codes, flights, good_codes) = Default::default();
        let mut world = Self { ground, browsers, logins, consents, codes, flights, good_codes, secrets };
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
        let Step { event, which, browser, at, times } = step;
        let there_are = match event {
            Event::Authorize => self.consents.len(),
            Event::Callback | Event::CallbackElsewhere => self.codes.len(),
            Event::ClaimAgain | Event::Exchange | Event::LoseAnswer | Event::LoseRequest => self.flights.len(),
            Event::Finish | Event::Crash => self.flights.len(),
            _ => self.logins.len(),
        };
        let Some(number) = which.checked_rem(there_are) else { return };
        let chosen = there_are - 1 - number;
        match event {
            Event::Open if self.logins.len() < MOST_LOGINS => self.open(at).await,
            Event::Open => {}
            Event::Begin => self.begin(chosen, browser, at).await,
            Event::Deny => self.deny(chosen, at).await,
            Event::Revoke => self.revoke(chosen, at).await,
            Event::Authorize => self.authorize(chosen),
            Event::Callback => self.callback(chosen, times).await,
            Event::CallbackElsewhere => self.callback_elsewhere(chosen, browser, at).await,
            Event::ClaimAgain => self.claim_again(chosen, at).await,
            Event::Exchange | Event::LoseAnswer | Event::LoseRequest => self.exchange(chosen, event),
            Event::Finish => self.finish_exchange(chosen, at).await,
            Event::Crash => self.flights[chosen].stage = Stage::Over,
            Event::Poll => _ = self.poll(chosen, times).await,
            Event::RunOut | Event::Expire | Event::FallDue => self.pass_time(chosen, event).await,
            Event::CleanUp => {
                self.store(at).delete_grants(500).await.unwrap();
                for login in self.logins.iter_mut().filter(|login| login.expected.age == Age::Due) {
                    login.expected.age = Age::Gone;
                }
            }
        }
    }

    async fn open(&mut self, at: usize) {
        let (device_code, user_code) = self.store(at).open(&new_grant()).await.unwrap();
        self.keep_secret(&device_code.to_hex());
        let (expected, tokens) = (Expected::new(), Vec::new());
        self.logins.push(Login { device_code, user_code, expected, tokens });
    }

    async fn begin(&mut self, login: usize, browser: usize, at: usize) {
        let (code, key) = (self.logins[login].user_code, &self.browsers[browser]);
        let begun = self.store(at).begin(code, None, key, None).await.unwrap();
        let expected = self.logins[login].expected.take(Act::Begin { browser });
        assert_eq!(matches!(begun, Entered::Found(_)), expected == Found::Applied);
        if let Entered::Found(begun) = begun {
            let state = key.state(begun.grant);
            let verifier = key.code_verifier(&begun.verifier_salt).to_base64url();
            self.keep_secret(&verifier);
            self.keep_secret(&state.to_query());
            self.consents.push(Consent { login, browser, state });
        }
    }

    async fn deny(&mut self, login: usize, at: usize) {
        let found = self.store(at).deny(self.logins[login].user_code, None).await.unwrap();
        self.ended(login, matches!(found, Entered::Found(_)), Act::Deny);
    }

    async fn revoke(&mut self, login: usize, at: usize) {
        let revoked = self.store(at).revoke(Which::UserCode(self.logins[login].user_code)).await.unwrap();
        self.ended(login, !revoked.is_empty(), Act::Revoke);
    }

    async fn callback_elsewhere(&mut self, code: usize, browser: usize, at: usize) {
        let Code { text, consent } = &self.codes[code];
        if self.browsers[browser].owns(&consent.state) {
            return;
        }
        let login = consent.login;
        let found = self.store(at).abandon(&consent.state, &Digest::of(text.as_bytes())).await.unwrap();
        if let Found::Over(outcome) = self.ended(login, found.applied, Act::Abandon { code }) {
            assert_eq!(found.outcome, outcome);
        }
    }

    fn ended(&mut self, login: usize, applied: bool, act: Act) -> Found {
        let expected = self.logins[login].expected.take(act);
        assert_eq!(applied, expected == Found::Applied);
        if applied {
            self.ground.count("end");
        }
        expected
    }

    /// Postiz issues a code. The person's older one is gone, and so is their token.
    fn authorize(&mut self, consent: usize) {
        let consent = self.consents[consent].clone();
        self.good_codes.insert(consent.browser, self.codes.len());
        let text = Secret::random().to_base64url();
        self.keep_secret(&text);
        self.codes.push(Code { text, consent });
    }

    async fn claim(&self, code: usize, holder: &LeaseHolder, at: usize) -> Claim {
        let Code { text, consent } = &self.codes[code];
        let (key, digest) = (&self.browsers[consent.browser], Digest::of(text.as_bytes()));
        self.store(at).claim(&consent.state, key, &digest, holder).await.unwrap()
    }

    async fn callback(&mut self, code: usize, times: usize) {
        let Consent { login, browser, .. } = self.codes[code].consent;
        let (status, was_leased) = (self.logins[login].expected.status, self.logins[login].expected.lease.is_some());
        let holders: Vec<_> = (0..times).map(|_| LeaseHolder::random()).collect();
        let claims = holders.iter().enumerate().map(|(at, holder)| self.claim(code, holder, at));
        let mut claims: Vec<(Claim, &LeaseHolder)> = join_all(claims).await.into_iter().zip(&holders).collect();
        let flight = self.flights.len();
        let mut expected = self.logins[login].expected.take(Act::Claim { browser, code, flight });
        if expected == Found::Applied {
            let winner = claims.iter().position(|(claim, _)| matches!(claim, Claim::Claimed(_)));
            let (claim, holder) = claims.swap_remove(winner.expect("one may exchange it"));
            let Claim::Claimed(lease) = claim else { unreachable!("it is the winner") };
            let mut others = self.flights.iter().filter(|flight| matches!(flight.stage, Stage::Claimed));
            assert!(!others.any(|flight| self.codes[flight.code].consent.login == login), "two exchanges at a time");
            self.flights.push(Flight { code, holder: holder.clone(), lease, stage: Stage::Claimed });
            self.ground.count(match (status, was_leased) {
                (Status::Approved, _) => "approval taken back",
                (_, true) => "takeover",
                (_, false) => "claim",
            });
            // Concurrent callbacks get the same answer.
            expected = Found::InProgress;
        }
        for (claim, _) in claims {
            assert_eq!(found(&claim), expected);
        }
    }

    async fn claim_again(&mut self, flight: usize, at: usize) {
        let Flight { code, stage: Stage::Claimed, ref holder, .. } = self.flights[flight] else { return };
        let Consent { login, browser, .. } = self.codes[code].consent;
        let claim = self.claim(code, holder, at).await;
        assert_eq!(found(&claim), self.logins[login].expected.take(Act::Claim { browser, code, flight }));
    }

    fn exchange(&mut self, flight: usize, event: Event) {
        let Flight { code, stage: Stage::Claimed, ref lease, .. } = self.flights[flight] else { return };
        let Consent { login, browser, .. } = self.codes[code].consent;
        let lease = lease.clone();
        let is_good = !matches!(event, Event::LoseRequest) && self.good_codes.get(&browser) == Some(&code);
        let mut stage = Stage::Failed { spent: matches!(event, Event::Exchange) };
        if is_good {
            self.good_codes.remove(&browser);
            let token = format!("pos_{}", Secret::random().to_base64url());
            self.keep_secret(&token);
            self.logins[login].tokens.push(token.clone());
            if matches!(event, Event::Exchange) {
                stage = Stage::Granted(sealed(&lease, &token));
            }
        }
        self.flights[flight].stage = stage;
    }

    async fn finish_exchange(&mut self, flight: usize, at: usize) {
        let Flight { code, ref lease, ref stage, .. } = self.flights[flight];
        let expected = &mut self.logins[self.codes[code].consent.login].expected;
        match stage.clone() {
            Stage::Claimed | Stage::Over => {}
            Stage::Granted(token) => {
                let outcome = self.ground.stores[at].approve(lease, &token, Duration::from_secs(5)).await.unwrap();
                let expected = expected.take(Act::Approve { code });
                assert_eq!(outcome, if let Found::Over(done) = expected { done } else { Done::Waiting });
            }
            Stage::Failed { spent } => {
                self.ground.stores[at].release(lease, spent).await.unwrap();
                if expected.age != Age::Gone && expected.lease == Some(flight) {
                    (expected.lease, expected.spent) = (None, spent);
                }
                self.flights[flight].stage = Stage::Over;
            }
        }
    }

    /// Whether the terminal got a token.
    async fn poll(&mut self, login: usize, times: usize) -> bool {
        let Login { device_code, expected, tokens, .. } = &mut self.logins[login];
        let (id, stores) = (device_code.grant_id(), &self.ground.stores);
        for found in join_all((0..times).map(|at| stores[at % 2].look_up(id, false, None))).await {
            let found = found.unwrap().0;
            let too_often = found == PollStatus::NotSaved && expected.status() == PollStatus::Ready;
            assert!(found == expected.status() || too_often, "{found:?}");
        }
        let is_ready = expected.status() == PollStatus::Ready;
        let mut has_token = false;
        for delivery in join_all((0..times).map(|at| stores[at % 2].deliver(id))).await {
            let delivery = delivery.unwrap();
            assert_eq!(delivery.is_some(), is_ready);
            let Some(delivery) = delivery else { continue };
            // A terminal that asks too often gets no token.
            if let Delivered::First | Delivered::Again = delivery.outcome {
                let token = delivery.token.open(device_code).unwrap().access_token;
                assert_eq!(Some(token.expose_secret()), tokens.last().map(String::as_str), "Postiz issued it last");
                has_token = true;
            }
        }
        expected.take(Act::Deliver);
        if has_token {
            self.ground.count("delivery");
        }
        has_token
    }

    /// A lease outlives the exchange, so it can only run out where its holder is dead or has heard.
    async fn pass_time(&mut self, login: usize, event: Event) {
        let Login { device_code, expected, .. } = &mut self.logins[login];
        let is_exchanging = expected.lease.is_some_and(|flight| matches!(self.flights[flight].stage, Stage::Claimed));
        if is_exchanging && !matches!(event, Event::Expire) {
            return;
        }
        let (lease_over, age, set) = match event {
            Event::RunOut => (true, Age::Young, "leased_until = leased_until - interval '15 seconds'"),
            Event::Expire => (false, Age::Expired, "expires_at = least(expires_at, now())"),
            _ => (
                true,
                Age::Due,
                "expires_at = now() - interval '61 seconds', leased_until = leased_until - interval '15 seconds',
                 settled_at = settled_at - interval '61 seconds', delivered_at = delivered_at - interval '61 seconds'",
            ),
        };
        let id = HEXLOWER.encode(device_code.grant_id().as_bytes());
        let update = format!("UPDATE device_requests SET {set} WHERE id = '\\x{id}'");
        self.ground.client.batch_execute(&update).await.unwrap();
        expected.lease_over |= lease_over;
        expected.age = expected.age.max(age);
    }

    /// Of the first login.
    pub fn status(&self) -> Status {
        self.logins[0].expected.status
    }

    /// The rows are as the model has them, and hold no secret.
    pub async fn check(&self) {
        let sql = "SELECT encode(id, 'hex'), grants::text, ARRAY[status, (expires_at <= now())::text,
                       (expires_at <= now() - interval '60 seconds' AND coalesce(leased_until <= now(), true)
                        AND coalesce(greatest(settled_at, delivered_at) <= now() - interval '60 seconds', true))::text,
                       coalesce(leased_until > now(), false)::text, (sealed_token IS NOT NULL)::text, code_spent::text]
                       || ARRAY(SELECT encode(code, 'hex') FROM unnest(codes) AS code)
                   FROM device_requests AS grants";
        let rows = self.ground.client.query_typed(sql, &[]).await.unwrap();
        let living = self.logins.iter().filter(|login| login.expected.age != Age::Gone);
        let expected = living.map(|login| {
            let Expected { status, age, spent, codes, .. } = &login.expected;
            let is_sealed = matches!(status, Status::Approved | Status::Delivered);
            let flags = [*age >= Age::Expired, *age == Age::Due, login.expected.is_leased(), is_sealed, *spent];
            let digest = |code: &usize| Digest::of(self.codes[*code].text.as_bytes());
            let codes = codes.iter().map(|code| HEXLOWER.encode(digest(code).as_bytes()));
            let row = [status.to_string()].into_iter().chain(flags.map(|flag| flag.to_string())).chain(codes);
            (HEXLOWER.encode(login.device_code.grant_id().as_bytes()), row.collect())
        });
        let found: BTreeMap<String, Vec<String>> = rows.iter().map(|row| (row.get(0), row.get(2))).collect();
        assert_eq!(found, expected.collect(), "status, expired, due, leased, sealed, spent, codes");
        let text: String = rows.iter().map(|row| row.get::<_, String>(1)).collect();
        for secret in &self.secrets {
            assert!(!text.contains(secret), "a secret stands in a row: {text}");
        }
    }

    /// After every story, approved grants are delivered, and undecided ones can still be approved.
    pub async fn finish(mut self) {
        for flight in &mut self.flights {
            flight.stage = Stage::Over;
        }
        for login in 0..self.logins.len() {
            self.pass_time(login, Event::RunOut).await;
            if self.logins[login].expected.is_open() {
                self.begin(login, 0, login).await;
                self.authorize(self.consents.len() - 1);
                self.callback(self.codes.len() - 1, 1).await;
                let flight = self.flights.len() - 1;
                self.exchange(flight, Event::Exchange);
                self.finish_exchange(flight, login % 2).await;
                assert!(self.poll(login, 1).await, "the terminal has its token");
            } else {
                self.poll(login, 2).await;
            }
            self.check().await;
        }
    }
}

fn found(claim: &Claim) -> Found {
    match claim {
        Claim::Claimed(_) => Found::Applied,
        Claim::InProgress => Found::InProgress,
        Claim::CodeSpent(_) => Found::CodeSpent,
        Claim::Over(done) => Found::Over(*done),
    }
}
