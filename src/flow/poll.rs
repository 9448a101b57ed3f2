//! A terminal polls for its token (RFC 8628 §3.4), and is held while the grant is pending.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use crate::db::DatabaseError;
use crate::flow::DeviceFlow;
use crate::flow::entry::Arriving;
use crate::flow::held_poll::HeldPoll;
use crate::grant::{ClientId, Credentials, Decision, DeviceCode};
use crate::metrics::{GrantEvent, Limit};
use crate::store::{Delivery, Standing};

/// Of the time for which a poll may be held. Terminals that began to poll together, as after a restart, come apart: held for
/// the same time, they would all come back together.
const SHORTEST_HOLD: f64 = 0.8;
/// Held polls end at multiples of this time, so that a worker that wakes up answers many.
const END_TOGETHER: Duration = Duration::from_millis(100);

/// What the client asked for, and where it is.
#[derive(Debug, Clone)]
pub struct PollOptions {
    /// How long the poll may be held; `LONG_POLL_SECONDS` at most. Zero answers at once.
    pub hold: Duration,
    /// The shortest time between two polls, for a client that has to keep one. A decided or expired grant is never
    /// throttled.
    pub interval: Option<Duration>,
    pub client: Option<IpAddr>,
    /// Compared with the opening's if the poll has an interval.
    pub client_id: Option<ClientId>,
    /// The size of the request, for the memory that the poll takes while it is held.
    pub request_bytes: usize,
}

#[derive(Debug)]
pub enum PollOutcome {
    Delivered(Credentials),
    /// Undecided, or the database is unavailable: the terminal polls again, and nothing is lost.
    Pending,
    /// Undecided, and there was no room to hold this poll.
    NotHeld,
    /// Undecided, and this poll came sooner than the interval after the one before.
    SlowDown,
    Denied,
    /// Expired or revoked.
    Expired,
    /// No grant has this device code, or another client opened it.
    Unknown,
    /// The same, and this client has polled too many unknown ones.
    RateLimited {
        retry_after: Duration,
    },
    /// The terminal has fetched its token many times: it can't save it.
    NotSaved,
    /// The device code does not open the sealed token: the row was altered.
    Unreadable,
}

impl DeviceFlow {
    pub async fn poll(&self, code: &DeviceCode, options: PollOptions) -> PollOutcome {
        let hold = options.hold.min(self.long_poll);
        // Entered before the look-up: a decision between the two would be lost.
        let PollOptions { interval, client, request_bytes, .. } = options;
        let arriving = Arriving { hold: !hold.is_zero(), interval, client, request_bytes };
        let mut poll = HeldPoll::enter(&self.registry, code.grant_id(), &arriving);
        if let Some(limit) = poll.limit() {
            self.limited(limit);
        }
        let outcome = self.answer(code, hold, &options, &mut poll).await.unwrap_or(PollOutcome::Pending);
        let outcome = match outcome {
            PollOutcome::Pending if poll.limit().is_some() => PollOutcome::NotHeld,
            outcome => outcome,
        };
        if matches!(outcome, PollOutcome::Pending | PollOutcome::NotHeld | PollOutcome::SlowDown) {
            poll.keep();
        }
        outcome
    }

    async fn answer(
        &self,
        code: &DeviceCode,
        hold: Duration,
        options: &PollOptions,
        poll: &mut HeldPoll,
    ) -> Result<PollOutcome, DatabaseError> {
        let until = self.end_of(hold.mul_f64(rand::random_range(SHORTEST_HOLD..=1.0)));
        let (mut standing, early) = self.standing(poll, options).await?;
        loop {
            let remaining = match standing {
                Standing::Unknown => return Ok(self.unknown(options.client)),
                Standing::Denied => return Ok(PollOutcome::Denied),
                Standing::Expired => return Ok(PollOutcome::Expired),
                Standing::Ready => return self.deliver(code, options.client, poll).await,
                Standing::Pending { .. } if early => {
                    self.limited(Limit::Pace);
                    return Ok(PollOutcome::SlowDown);
                }
                Standing::Pending { .. } if !poll.is_held() => return Ok(PollOutcome::Pending),
                Standing::Pending { remaining } => remaining,
            };
            standing = match self.wait(poll, until, remaining).await {
                Woken::Decided(Decision::Approved) => Standing::Ready,
                Woken::Decided(Decision::Denied) => Standing::Denied,
                Woken::Decided(Decision::Revoked) => Standing::Expired,
                Woken::TimeIsUp => return Ok(PollOutcome::Pending),
                // The database says whether it has expired: an exchange may be under way.
                Woken::MayBeExpired => self.look_up(poll).await?,
            };
        }
    }

    fn end_of(&self, hold: Duration) -> Instant {
        let end = self.started.elapsed() + hold;
        let periods = end.as_millis() / END_TOGETHER.as_millis();
        self.started + END_TOGETHER * u32::try_from(periods).unwrap_or(u32::MAX)
    }

    /// Where the grant stands, and whether the poll came too early.
    async fn standing(&self, poll: &HeldPoll, options: &PollOptions) -> Result<(Standing, bool), DatabaseError> {
        match (options.interval, poll.pending()) {
            (Some(_), Some(remaining)) if poll.is_early() => Ok((Standing::Pending { remaining }, true)),
            // The database notes each other poll that has an interval, so that it holds across replicas.
            (Some(interval), _) => {
                let noted_at = Instant::now();
                let (store, grant, client_id) = (self.store.clone(), poll.grant(), options.client_id.clone());
                let statement = async move { store.paced_standing(grant, interval, client_id.as_ref()).await };
                let paced = self.alone(options.client, Box::pin(statement)).await?;
                note_pending(poll, paced.standing, Some(noted_at));
                Ok((paced.standing, paced.early))
            }
            (None, Some(remaining)) => Ok((Standing::Pending { remaining }, false)),
            (None, None) => Ok((self.look_up(poll).await?, false)),
        }
    }

    /// Runs a statement of this poll alone, in a task: a client can keep a poll from going on, with a connection to the
    /// database in use. Boxed, because a held poll keeps the space of everything that it has awaited or passed on.
    async fn alone<T: Send + 'static>(
        &self,
        client: Option<IpAddr>,
        statement: BoxFuture<'static, Result<T, DatabaseError>>,
    ) -> Result<T, DatabaseError> {
        let flow = self.clone();
        let work = self.finish(async move { flow.fairly(client, statement).await });
        Box::pin(work).await.unwrap_or(Err(DatabaseError::Unavailable))
    }

    async fn look_up(&self, poll: &HeldPoll) -> Result<Standing, DatabaseError> {
        let standing = Box::pin(self.store.standing(poll.grant())).await?;
        note_pending(poll, standing, None);
        Ok(standing)
    }

    async fn wait(&self, poll: &mut HeldPoll, until: Instant, remaining: Duration) -> Woken {
        let expiry = Instant::now() + remaining;
        // No time left means that an exchange is under way: the poll is held for the whole time.
        let (wake_at, then) = if !remaining.is_zero() && expiry < until {
            (expiry, Woken::MayBeExpired)
        } else {
            (until, Woken::TimeIsUp)
        };
        tokio::select! {
            decision = poll.decision() => Woken::Decided(decision),
            () = sleep_until(wake_at) => then,
            () = self.stopping.cancelled() => Woken::TimeIsUp,
        }
    }

    async fn deliver(
        &self,
        code: &DeviceCode,
        client: Option<IpAddr>,
        poll: &HeldPoll,
    ) -> Result<PollOutcome, DatabaseError> {
        let grant = poll.grant().reference();
        let (store, id) = (self.store.clone(), poll.grant());
        let statement = Box::pin(async move { store.deliver(id).await });
        let (token, first_after) = match self.alone(client, statement).await? {
            Delivery::Token { token, first_after } => (token, first_after),
            Delivery::TooMany { first } => {
                if first {
                    warn!(
                        grant,
                        "the terminal fetches its token again and again: it can't save it, and gets an error now"
                    );
                }
                return Ok(PollOutcome::NotSaved);
            }
            // A second approval took it back, or its minute is over. The next poll finds out which.
            Delivery::NotReady => return Ok(PollOutcome::Pending),
        };
        match token.open(code) {
            Ok(credentials) => {
                if let Some((after_approval, after_opening)) = first_after {
                    self.metrics.delivered(after_approval, after_opening);
                }
                poll.has_delivered();
                info!(grant, "token delivered");
                Ok(PollOutcome::Delivered(credentials))
            }
            Err(error) => {
                self.metrics.count(GrantEvent::Unreadable);
                error!(grant, %error, "the device code does not open the sealed token: the row was altered");
                Ok(PollOutcome::Unreadable)
            }
        }
    }

    fn unknown(&self, client: Option<IpAddr>) -> PollOutcome {
        match self.limits.unknown_poll(client) {
            Ok(()) => PollOutcome::Unknown,
            Err(limited) => {
                self.limited(Limit::UnknownPolls);
                PollOutcome::RateLimited { retry_after: limited.retry_after }
            }
        }
    }
}

fn note_pending(poll: &HeldPoll, standing: Standing, noted_at: Option<Instant>) {
    if let Standing::Pending { remaining } = standing {
        poll.found_pending(remaining, noted_at);
    }
}

enum Woken {
    Decided(Decision),
    TimeIsUp,
    MayBeExpired,
}
