//! What terminals begin and people do: opening, confirming, denying, authorizing, coming back.

use futures_util::future::join_all;
use postiz_auth_server::grant::Status;
use postiz_auth_server::secret::{Digest, Secret};
use postiz_auth_server::store::{Claim, Entered, LeaseHolder};

use crate::support::new_grant;

use super::expected::{ClaimKind, Expected, Flight};
use super::postiz::{Browser, Code};
use super::world::{Consent, InFlight, Issued, Login, Stage, World};

impl World<'_> {
    pub async fn open(&mut self, at: usize) {
        let (device_code, user_code) = self.store(at).open(&new_grant()).await.unwrap();
        self.keep_secret(&device_code.to_hex());
        self.logins.push(Login {
            device_code,
            user_code,
            expected: Expected::new(),
            tokens: Vec::new(),
            denied: false,
        });
    }

    pub async fn begin(&mut self, login: usize, browser: Browser, at: usize) {
        let (code, key) = (self.logins[login].user_code, &self.browsers[browser]);
        let begun = self.store(at).begin(code, None, key, None).await.unwrap();
        assert_eq!(taken(&begun), self.logins[login].expected.begin(browser));
        if let Entered::Found(begun) = begun {
            let state = key.state(begun.grant);
            let verifier = key.code_verifier(&begun.verifier_salt).to_base64url();
            self.keep_secret(&verifier);
            self.keep_secret(&state.to_query());
            self.consents.push(Consent { login, browser, state });
        }
    }

    pub async fn deny(&mut self, login: usize, at: usize) {
        let taken = taken(&self.store(at).deny(self.logins[login].user_code, None).await.unwrap());
        assert_eq!(taken, self.logins[login].expected.deny());
        self.denied(login, taken);
    }

    pub async fn deny_at_postiz(&mut self, consent: usize, at: usize) {
        let Consent { login, browser, state } = self.consents[consent].clone();
        let taken = self.store(at).deny_at_postiz(&state, &self.browsers[browser]).await.unwrap().applied;
        let expected = &mut self.logins[login].expected;
        assert_eq!(taken, expected.browser == Some(browser) && expected.deny());
        self.denied(login, taken);
    }

    pub fn denied(&mut self, login: usize, taken: bool) {
        if taken {
            self.logins[login].denied = true;
            self.ground.count(|seen| &mut seen.denials);
        }
    }

    pub fn authorize(&mut self, consent: usize) {
        let consent = self.consents[consent].clone();
        self.postiz.authorize(consent.browser, self.codes.len());
        let text = Secret::random().to_base64url();
        self.keep_secret(&text);
        self.codes.push(Issued { text, consent, is_finished: false });
    }

    pub async fn claim(&self, code: Code, browser: Browser, holder: &LeaseHolder, at: usize) -> Claim {
        let Issued { text, consent, .. } = &self.codes[code];
        let (key, digest) = (&self.browsers[browser], Digest::of(text.as_bytes()));
        self.store(at).claim(&consent.state, key, &digest, holder).await.unwrap()
    }

    pub async fn callback(&mut self, code: Code, times: usize) {
        let Consent { login, browser, .. } = self.codes[code].consent;
        let expected = &self.logins[login].expected;
        let kind = expected.callback(code, browser, None);
        let took = (expected.status == Status::Approved, expected.lease.is_some());
        let holders: Vec<_> = (0..times).map(|_| LeaseHolder::random()).collect();
        let found = holders.iter().enumerate().map(|(at, holder)| self.claim(code, browser, holder, at));
        let mut found: Vec<(Claim, &LeaseHolder)> = join_all(found).await.into_iter().zip(&holders).collect();
        let winner = found.iter().position(|(callback, _)| matches!(callback, Claim::Claimed(_)));
        if kind == ClaimKind::Claimed {
            let (Claim::Claimed(lease), holder) = found.swap_remove(winner.expect("one may exchange it")) else {
                unreachable!("it is the winner")
            };
            let flight = self.flights.len();
            self.no_other_claim_succeeds(login);
            assert!(!self.codes[code].is_finished, "a code is not exchanged after Postiz's word on it");
            self.logins[login].expected.claim(code, flight);
            self.flights.push(InFlight { code, holder: holder.clone(), lease, stage: Stage::Claimed });
            self.ground.count(|seen| &mut seen.claims);
            match took {
                (true, _) => self.ground.count(|seen| &mut seen.taken_back),
                (_, true) => self.ground.count(|seen| &mut seen.takeovers),
                _ => {}
            }
        }
        let others = if kind == ClaimKind::Claimed { ClaimKind::InProgress } else { kind };
        for (callback, _) in found {
            assert_eq!(ClaimKind::from(&callback), others, "concurrent callbacks get the same answer");
        }
    }

    /// Of living replicas, one at most has a code of this login to exchange.
    pub fn no_other_claim_succeeds(&self, login: usize) {
        let exchanging = self.flights.iter().filter(|flight| matches!(flight.stage, Stage::Claimed));
        let of_this = exchanging.filter(|flight| self.codes[flight.code].consent.login == login);
        assert_eq!(of_this.count(), 0, "two exchanges at a time");
    }

    pub async fn callback_elsewhere(&mut self, code: Code, browser: Browser, at: usize) {
        let Consent { login, browser: owner, .. } = self.codes[code].consent;
        if browser == owner {
            return;
        }
        let Issued { text, consent, .. } = &self.codes[code];
        assert!(!self.browsers[browser].owns(&consent.state));
        let digest = Digest::of(text.as_bytes());
        let found = self.store(at).abandon(&consent.state, &digest).await.unwrap();
        assert_eq!(found, self.logins[login].expected.abandon(code));
        self.denied(login, found.applied);
    }

    pub async fn claim_again(&mut self, flight: Flight, at: usize) {
        let InFlight { code, stage: Stage::Claimed, holder, .. } = &self.flights[flight] else { return };
        let (code, holder) = (*code, holder.clone());
        let Consent { login, browser, .. } = self.codes[code].consent;
        let kind = self.logins[login].expected.callback(code, browser, Some(flight));
        let found = self.claim(code, browser, &holder, at).await;
        assert_eq!(ClaimKind::from(&found), kind);
        if kind == ClaimKind::Claimed {
            self.logins[login].expected.claim(code, flight);
        }
    }
}

pub fn taken<T>(entered: &Entered<T>) -> bool {
    matches!(entered, Entered::Found(_))
}
