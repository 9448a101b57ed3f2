//! One poll: where the grant stands, waited for as long as allowed, and the token if it is ready.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::grant::{Credentials, Decision, DeviceCode, Standing};
use crate::http::Deps;
use crate::metrics::Limit;
use crate::store::StoreError;
use crate::waiters::Poll;

/// All that a poll can be told.
#[derive(Debug)]
pub enum PollAnswer {
    /// The token.
    Credentials(Credentials),
    /// Nobody has decided yet.
    Pending,
    /// Nobody has decided yet, and this poll came too soon after the one before.
    TooEarly,
    /// The person said no.
    Denied,
    /// The grant's time is over.
    Expired,
    /// There is no such grant, any more or ever.
    Unknown,
}

/// Answers a poll; holds it for at most `hold` while nobody has decided.
///
/// With a `pace`, a poll that comes sooner than that after the one before is told so; a grant that
/// is settled or over is never throttled.
pub async fn answer(
    deps: &Deps,
    code: &DeviceCode,
    hold: Duration,
    pace: Option<Duration>,
) -> Result<PollAnswer, StoreError> {
    // Entered before the look-up: an approval between the two would be missed.
    let mut poll = deps.waiters.arrive(code.grant_id(), !hold.is_zero());
    if !poll.is_held() && !hold.is_zero() {
        deps.limit_metrics.count(Limit::HeldPolls);
    }
    let answer = settle(deps, code, hold, pace, &mut poll).await;
    if matches!(answer, Ok(PollAnswer::Pending)) {
        poll.comes_again();
    }
    answer
}

async fn settle(
    deps: &Deps,
    code: &DeviceCode,
    hold: Duration,
    pace: Option<Duration>,
    poll: &mut Poll,
) -> Result<PollAnswer, StoreError> {
    let grant = poll.grant();
    let until = Instant::now() + hold;
    let (mut standing, early) = match (pace, poll.undecided()) {
        // Who keeps a pace is noted each time.
        (Some(pace), _) => match deps.store.paced_standing(grant, pace).await? {
            Some(paced) => (Some(paced.standing), paced.early),
            None => (None, false),
        },
        (None, Some(remaining)) => (Some(Standing::Waiting { remaining }), false),
        (None, None) => (look_up(deps, poll).await?, false),
    };
    loop {
        let remaining = match standing {
            None => return Ok(PollAnswer::Unknown),
            Some(Standing::Denied) => return Ok(PollAnswer::Denied),
            Some(Standing::Expired) => return Ok(PollAnswer::Expired),
            Some(Standing::Ready) => return deliver(deps, code, poll).await,
            Some(Standing::Waiting { .. }) if early => {
                deps.limit_metrics.count(Limit::Pace);
                return Ok(PollAnswer::TooEarly);
            }
            Some(Standing::Waiting { remaining }) => remaining,
        };
        if !poll.is_held() {
            return Ok(PollAnswer::Pending);
        }
        standing = match wait(deps, poll, until, remaining).await {
            Woken::Decision(Decision::Approved) => Some(Standing::Ready),
            Woken::Decision(Decision::Denied) => Some(Standing::Denied),
            Woken::Decision(Decision::Revoked) => {
                info!(grant = grant.reference(), "grant revoked by the operator");
                Some(Standing::Expired)
            }
            Woken::TimeIsUp => return Ok(PollAnswer::Pending),
            // The database says whether the time is over: an exchange may be under way.
            Woken::MayBeExpired => look_up(deps, poll).await?,
        };
    }
}

async fn look_up(deps: &Deps, poll: &Poll) -> Result<Option<Standing>, StoreError> {
    let standing = deps.store.standing(poll.grant()).await?;
    if let Some(Standing::Waiting { remaining }) = standing {
        poll.found_undecided(remaining);
    }
    Ok(standing)
}

enum Woken {
    Decision(Decision),
    TimeIsUp,
    MayBeExpired,
}

async fn wait(deps: &Deps, poll: &mut Poll, until: Instant, remaining: Duration) -> Woken {
    let expiry = Instant::now() + remaining;
    // A grant past its time still waits here where its exchange is under way: for the whole hold.
    let (wake_at, then) =
        if !remaining.is_zero() && expiry < until { (expiry, Woken::MayBeExpired) } else { (until, Woken::TimeIsUp) };
    tokio::select! {
        how = poll.settled() => Woken::Decision(how),
        () = sleep_until(wake_at) => then,
        () = deps.stopping.cancelled() => Woken::TimeIsUp,
    }
}

async fn deliver(deps: &Deps, code: &DeviceCode, poll: &Poll) -> Result<PollAnswer, StoreError> {
    let grant = poll.grant();
    let Some(delivery) = deps.store.deliver(grant).await? else {
        // Taken back by a second approval, or its minute is over: the next poll hears which.
        return Ok(PollAnswer::Pending);
    };
    match delivery.token.open(code) {
        Ok(credentials) => {
            if let Some((after_approval, after_opening)) = delivery.first_after {
                deps.logins.delivered(after_approval, after_opening);
            }
            poll.has_delivered();
            info!(grant = grant.reference(), "token delivered");
            Ok(PollAnswer::Credentials(credentials))
        }
        Err(error) => {
            warn!(grant = grant.reference(), %error, "a token can't be opened by its device code");
            Err(StoreError::Refused)
        }
    }
}
