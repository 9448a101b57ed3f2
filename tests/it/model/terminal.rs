//! The terminal asks; and time passes.

use futures_util::future::join_all;
use postiz_auth_server::grant::{Standing, Status};
use postiz_auth_server::store::Delivered;
use secrecy::ExposeSecret as _;

use super::rows::{Passes, pass};
use super::world::{Login, Stage, World};

/// As `store/deliver.rs` says.
const MAX_DELIVERIES: usize = 10;

impl World<'_> {
    pub async fn poll(&mut self, login: usize, times: usize) -> Option<String> {
        let Login { device_code, expected, tokens, denied, .. } = &self.logins[login];
        let id = device_code.grant_id();
        let found = join_all((0..times).map(|at| self.store(at).look_up(id, false, None))).await;
        for found in found {
            assert_eq!(found.unwrap().0, expected.standing());
        }
        let ready = expected.standing() == Standing::Ready;
        let left = if ready { MAX_DELIVERIES.saturating_sub(expected.deliveries) } else { 0 };
        let mut delivered = 0;
        for sealed in join_all((0..times).map(|at| self.store(at).deliver(id))).await {
            let delivery = sealed.unwrap();
            assert_eq!(delivery.is_some(), ready);
            match delivery.map(|delivery| (delivery.outcome, delivery.token)) {
                Some((Delivered::First | Delivered::Again, token)) => {
                    let token = token.open(device_code).unwrap().access_token;
                    assert!(!denied, "a denied login never gets a token");
                    let kind = token.expose_secret().to_owned();
                    assert_eq!(Some(&kind), tokens.last(), "it is the last that Postiz issued");
                    delivered += 1;
                }
                Some((Delivered::FirstRefusal | Delivered::Refused, _)) | None => {}
            }
        }
        assert_eq!(delivered, left.min(times));
        if !ready {
            return None;
        }
        self.ground.count(|seen| &mut seen.deliveries);
        self.logins[login].expected.status = Status::Delivered;
        self.logins[login].expected.deliveries += times;
        self.logins[login].tokens.last().cloned()
    }

    /// A lease outlives the exchange, so it can only run out where its holder is dead or has heard.
    pub async fn run_out(&mut self, login: usize) {
        if !self.is_exchanging(login) {
            pass(&self.ground.client, self.logins[login].device_code.grant_id(), Passes::Lease).await;
            self.logins[login].expected.lease_over = true;
        }
    }

    pub async fn fall_due(&mut self, login: usize) {
        if !self.is_exchanging(login) {
            pass(&self.ground.client, self.logins[login].device_code.grant_id(), Passes::LastMinute).await;
            let expected = &mut self.logins[login].expected;
            (expected.expired, expected.due, expected.lease_over) = (true, true, true);
        }
    }

    pub fn is_exchanging(&self, login: usize) -> bool {
        let holder = self.logins[login].expected.lease.map(|flight| &self.flights[flight]);
        holder.is_some_and(|flight| matches!(flight.stage, Stage::Claimed))
    }
}
