//! What a replica does with a code that it has claimed.

use std::time::Duration;

use postiz_auth_server::grant::{Credentials, Done};

use super::expected::Flight;
use super::person::taken;
use super::postiz::Code;
use super::step::Answer;
use super::world::{Consent, InFlight, Stage, World};

const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

impl World<'_> {
    pub fn exchange(&mut self, flight: Flight, answer: Answer) {
        let InFlight { code, stage: Stage::Claimed, .. } = self.flights[flight] else { return };
        let Consent { login, browser, .. } = self.codes[code].consent;
        let granted = if answer == Answer::NeverAsked { None } else { self.postiz.exchange(browser, code) };
        if let Some(token) = &granted {
            self.keep_secret(token);
            self.logins[login].tokens.push(token.clone());
        }
        self.flights[flight].stage = match (answer, granted) {
            (Answer::Heard, Some(token)) => {
                let credentials = Credentials {
                    access_token: token.into(),
                    token_type: "bearer".into(),
                    organization_id: None,
                    scope: None,
                };
                let lease = &self.flights[flight].lease;
                Stage::Granted(lease.sealing_key.seal(&lease.grant, &credentials).unwrap())
            }
            (Answer::Heard, None) => Stage::Failed { spent: true },
            (Answer::Lost | Answer::NeverAsked, _) => Stage::Failed { spent: false },
        };
    }

    pub async fn finish_exchange(&mut self, flight: Flight, at: usize) {
        let InFlight { code, lease, stage, .. } = &self.flights[flight];
        let (code, lease) = (*code, lease.clone());
        let login = self.codes[code].consent.login;
        match stage {
            Stage::Claimed | Stage::Over => {}
            Stage::Granted(token) => {
                let approval = self.store(at).approve(&lease, token, STATEMENT_TIMEOUT).await.unwrap();
                assert_eq!(approval, self.logins[login].expected.approve(code));
                self.approved(code, approval);
            }
            Stage::Failed { spent } => {
                let spent = *spent;
                self.store(at).release(&lease, spent).await.unwrap();
                self.logins[login].expected.release(flight, spent);
                self.codes[code].is_finished |= spent;
                self.flights[flight].stage = Stage::Over;
            }
        }
    }

    pub fn approved(&mut self, code: Code, approval: Done) {
        match approval {
            Done::Waiting => self.codes[code].is_finished = true,
            Done::Denied => {}
            _ => self.ground.count(|seen| &mut seen.superseded),
        }
    }

    /// The first one counts. The other one finds its outcome, or an unknown grant.
    pub async fn exchange_and_deny_at_once(&mut self, flight: Flight) {
        let InFlight { code, lease, stage: Stage::Granted(token), .. } = &self.flights[flight] else { return };
        let code = *code;
        let login = self.codes[code].consent.login;
        let (approval, decision) = tokio::join!(
            self.store(0).approve(lease, token, STATEMENT_TIMEOUT),
            self.store(1).deny(self.logins[login].user_code, None)
        );
        let (approval, denied) = (approval.unwrap(), taken(&decision.unwrap()));
        let expected = &mut self.logins[login].expected;
        if denied {
            assert!(expected.deny());
            assert!(matches!(approval, Done::Denied | Done::LinkExpired), "{approval:?}");
        } else {
            assert_eq!(approval, expected.approve(code));
            assert!(!expected.deny());
        }
        self.approved(code, approval);
        self.denied(login, denied);
    }
}
