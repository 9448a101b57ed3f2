//! A terminal polls for its token (RFC 8628 §3.4), and is held while the grant is pending.
//!
//! The look-up and the delivery are tasks. Between them the poll waits in its own request, and ends with it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use crate::flow::waiting::Poll;
use crate::flow::{DeviceFlow, Trouble};
use crate::grant::{ClientId, Credentials, Decision, DeviceCode, PollStatus};
use crate::limits::RateLimited;
use crate::metrics::{GrantEvent, Limit};
use crate::store::{Delivered, Delivery};

/// The shortest hold, as a part of the longest. Held for the same time, terminals that began to poll together, as after a restart,
/// would go on to poll together.
const SHORTEST_HOLD: f64 = 0.9;
/// Holds end at multiples of this after the start, so that one wake-up answers many polls. It has to divide a second.
const HOLDS_END_EVERY: Duration = Duration::from_millis(100);

/// What the client asked for, and where it is.
#[derive(Debug, Clone)]
pub struct PollOptions {
    /// How long the poll may be held; `LONG_POLL_SECONDS` at most. Zero answers at once.
    pub hold: Duration,
    /// Whether the client has to keep the announced interval.
    pub keeps_interval: bool,
    pub client: Option<IpAddr>,
    /// Compared with the opening's, if both are given.
    pub client_id: Option<ClientId>,
}

#[derive(Debug)]
pub enum PollOutcome {
    Delivered(Credentials),
    /// There is no token to deliver. If the database is unavailable, that is *pending*, and nothing is lost.
    NoToken(PollStatus),
    /// Pending, and there was no room to hold this poll.
    NotHeld,
    /// Unknown, and this client has polled too many unknown codes.
    RateLimited(RateLimited),
    /// The device code does not open the sealed token (the row was altered), or a bug.
    Failed,
}

/// What ends a poll's wait.
enum Woken {
    Decided(Decision),
    TimeIsUp,
    MayBeExpired,
}

impl DeviceFlow {
    pub async fn poll(self: &Arc<Self>, code: DeviceCode, options: PollOptions) -> PollOutcome {
        let hold = options.hold.min(self.long_poll);
        let latest = Instant::now() + hold.mul_f64(rand::random_range(SHORTEST_HOLD..=1.0));
        let until = end_of_hold(self.started, latest);
        let permit = if hold.is_zero() { None } else { self.limits.held_poll(options.client) };
        let no_room = !hold.is_zero() && permit.is_none();
        // Entered before the look-up: a decision between the two would be lost.
        let mut poll = self.waiting.enter(code.grant_id(), permit);
        let outcome = self.answer(code, &options, until, &mut poll).await;
        match outcome {
            PollOutcome::NoToken(PollStatus::Pending | PollStatus::SlowDown) => {
                poll.terminal_returns();
                if no_room { PollOutcome::NotHeld } else { outcome }
            }
            PollOutcome::NoToken(PollStatus::Unknown) => match self.limits.unknown_poll(options.client) {
                Ok(()) => outcome,
                Err(limited) => PollOutcome::RateLimited(limited),
            },
            _ => outcome,
        }
    }

    async fn answer(
        self: &Arc<Self>,
        code: DeviceCode,
        options: &PollOptions,
        until: Instant,
        poll: &mut Poll,
    ) -> PollOutcome {
        // The database notes each poll that has to keep an interval, so that it holds across replicas, and compares names.
        let mut known = poll.known_expiry.filter(|_| !options.keeps_interval && options.client_id.is_none());
        // A poll that is looked up again is no second poll.
        let mut keeps_interval = options.keeps_interval;
        loop {
            let found = match known.take() {
                Some(expires_at) => Ok((PollStatus::Pending, Some(expires_at))),
                // The feed notices when the database is back, and brings what was decided meanwhile.
                None if poll.is_held() && !self.store.database().is_available() => Err(Trouble::Unavailable),
                None => self.look_up(poll, options, std::mem::take(&mut keeps_interval)).await,
            };
            let expires_at = match found {
                Ok((PollStatus::Pending, expires_at)) => expires_at,
                Ok((PollStatus::Ready, _)) => return self.deliver(code, options.client, poll).await,
                Ok((status, _)) => return PollOutcome::NoToken(status),
                // Held without a look-up.
                Err(Trouble::Unavailable) => None,
                Err(Trouble::RateLimited(_)) => return PollOutcome::NoToken(PollStatus::Pending),
                Err(Trouble::Failed) => return PollOutcome::Failed,
            };
            if !poll.is_held() {
                return PollOutcome::NoToken(PollStatus::Pending);
            }
            match self.wait(poll, until, expires_at).await {
                Woken::Decided(Decision::Approved) => return self.deliver(code, options.client, poll).await,
                Woken::Decided(Decision::Denied) => return PollOutcome::NoToken(PollStatus::Denied),
                Woken::Decided(Decision::Revoked) => return PollOutcome::NoToken(PollStatus::Expired),
                Woken::TimeIsUp => return PollOutcome::NoToken(PollStatus::Pending),
                // Only the database says whether it has expired: an exchange may be under way.
                Woken::MayBeExpired => {}
            }
        }
    }

    /// Also returns when the grant expires. `None` means that an exchange is under way: then it is not known.
    async fn look_up(
        self: &Arc<Self>,
        poll: &Poll,
        options: &PollOptions,
        keeps_interval: bool,
    ) -> Result<(PollStatus, Option<Instant>), Trouble> {
        let (flow, grant) = (Arc::clone(self), poll.grant);
        let PollOptions { client, client_id, .. } = options.clone();
        let statement =
            async move { flow.in_line(client, flow.store.look_up(grant, keeps_interval, client_id.as_ref())).await };
        let (status, remaining) = self.task(statement).await?;
        let expires_at = (!remaining.is_zero()).then(|| Instant::now() + remaining);
        match (status, expires_at) {
            (PollStatus::Pending, Some(expires_at)) => poll.found_pending(expires_at),
            (PollStatus::SlowDown, _) => self.limits.met(Limit::Pace),
            _ => {}
        }
        Ok((status, expires_at))
    }

    async fn wait(&self, poll: &mut Poll, until: Instant, expires_at: Option<Instant>) -> Woken {
        let (wake_at, then) = match expires_at {
            Some(at) if at < until => (at, Woken::MayBeExpired),
            _ => (until, Woken::TimeIsUp),
        };
        tokio::select! {
            decision = poll.decision() => decision.map_or(Woken::TimeIsUp, Woken::Decided),
            () = sleep_until(wake_at) => then,
            () = self.stopping.cancelled() => Woken::TimeIsUp,
        }
    }

    async fn deliver(self: &Arc<Self>, code: DeviceCode, client: Option<IpAddr>, poll: &Poll) -> PollOutcome {
        let (flow, grant) = (Arc::clone(self), poll.grant);
        let statement = async move { flow.in_line(client, flow.store.deliver(grant)).await };
        match self.task(statement).await {
            Ok(Some(delivery)) => self.delivered(&code, &delivery, poll),
            // A second approval took the token back, or its minute is over. The next poll finds out which.
            Ok(None) | Err(Trouble::Unavailable | Trouble::RateLimited(_)) => PollOutcome::NoToken(PollStatus::Pending),
            Err(Trouble::Failed) => PollOutcome::Failed,
        }
    }

    fn delivered(&self, code: &DeviceCode, delivery: &Delivery, poll: &Poll) -> PollOutcome {
        let grant = poll.grant.reference();
        match delivery.outcome {
            Delivered::First | Delivered::Again => {}
            Delivered::FirstRefusal => {
                warn!(grant, "the terminal fetches its token again and again: it can't save it, and gets an error now");
                return PollOutcome::NoToken(PollStatus::NotSaved);
            }
            Delivered::Refused => return PollOutcome::NoToken(PollStatus::NotSaved),
        }
        match delivery.token.open(code) {
            Ok(credentials) => {
                if delivery.outcome == Delivered::First {
                    self.metrics.delivered(delivery.after_approval, delivery.after_opening);
                }
                let _ = self.deliveries.send(poll.grant);
                info!(grant, "token delivered");
                PollOutcome::Delivered(credentials)
            }
            Err(error) => {
                self.metrics.count(GrantEvent::Unreadable);
                error!(grant, %error, "the device code does not open the sealed token: the row was altered");
                PollOutcome::Failed
            }
        }
    }
}

/// The last moment until `latest` at which holds end.
fn end_of_hold(started: Instant, latest: Instant) -> Instant {
    let past = latest.duration_since(started).subsec_nanos() % HOLDS_END_EVERY.subsec_nanos();
    latest - Duration::from_nanos(past.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_end_together_and_never_late() {
        let started = Instant::now();
        for (latest, end) in [(0, 0), (99, 0), (100, 100), (24_950, 24_900), (100_000_000, 100_000_000)] {
            let latest = started + Duration::from_millis(latest);
            assert_eq!(end_of_hold(started, latest), started + Duration::from_millis(end));
        }
    }
}
