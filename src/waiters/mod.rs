//! Logins whose terminals wait here, in memory.
//!
//! A login costs one entry and no database connection. It is entered before it is read, so no settlement
//! falls between the two. What settles on this replica ends its entry at once; what settles on another one
//! is brought by the feed. So a login that was found undecided still is, as long as its entry is there and
//! the feed is read: its next polls need no look-up.

mod poll;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::grant::{Decision, GrantId};

pub use poll::{Poll, WokenPolls};

/// Polls held at a time, over all logins, however many sockets there may be: with its connection each
/// takes some 17 kB, and a replica should do with 256 MB.
const MOST_HELD: usize = 12_000;
/// Polls held for one login. A terminal has one; more only come of an answer lost on its way.
const MOST_HELD_FOR_ONE: usize = 4;
/// Logins entered at a time, held or not: 10 MB at most. The polls of others are looked up each time.
const MOST_LOGINS: usize = 50_000;
/// How long a look-up is relied upon. Should the feed ever miss a settlement, it is found after this time.
const GOOD_FOR: Duration = Duration::from_mins(1);
/// The feed is read each 100 ms; where it has not been for this long, only a look-up tells.
const FED_WITHIN: Duration = Duration::from_secs(1);
/// A terminal that was told to go on comes again within this time, or has gone away.
const COMES_AGAIN: Duration = Duration::from_secs(10);
/// How often it is looked who did not come again.
const TIDY_EACH: Duration = Duration::from_secs(1);

/// Everyone who waits on this replica.
#[derive(Debug)]
pub struct Waiters {
    waiting: Mutex<Waiting>,
    /// Polls held at a time, at most.
    most: usize,
    /// Told when the first login is entered, so that the feed can rest while there is none.
    someone: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    logins: HashMap<GrantId, Login>,
    held: usize,
    next: u64,
    /// When the feed was last read.
    fed_at: Option<Instant>,
    /// When entries of terminals that did not come again were last removed.
    tidied_at: Option<Instant>,
}

#[derive(Debug)]
struct Login {
    /// Tells this entry from an earlier one of the same login.
    number: u64,
    /// Polls under way, held ones among them.
    polls: usize,
    held: Vec<(u64, oneshot::Sender<Settlement>)>,
    undecided: Option<Undecided>,
    /// The entry stays until then although no poll is under way.
    stays_until: Option<Instant>,
}

/// What a look-up has found.
#[derive(Debug, Clone, Copy)]
struct Undecided {
    found_at: Instant,
    expires_at: Instant,
}

/// How a grant was settled, and whom to tell that its token was delivered.
type Settlement = (Decision, mpsc::UnboundedSender<()>);

impl Waiters {
    /// For a process that may have so many sockets; some of them are for others than who waits.
    pub fn new(sockets: u64) -> Self {
        let room = usize::try_from(sockets / 4 * 3).unwrap_or(MOST_HELD);
        Self { waiting: Mutex::default(), most: room.min(MOST_HELD), someone: Notify::new() }
    }

    /// Enters a poll's login, before it is looked up. With `hold` the poll can wait for the settlement, unless too
    /// many do already; it should then be answered at once.
    pub fn arrive(self: &Arc<Self>, grant: GrantId, hold: bool) -> Poll {
        let now = Instant::now();
        let mut poll = Poll::new(Arc::clone(self), grant);
        let mut waiting = self.lock();
        let Waiting { logins, held, next, fed_at, .. } = &mut *waiting;
        let (is_first, is_full) = (logins.is_empty(), logins.len() >= MOST_LOGINS);
        let number = *next;
        *next += 1;
        let login = match logins.entry(grant) {
            Entry::Occupied(login) => login.into_mut(),
            Entry::Vacant(_) if is_full => return poll,
            Entry::Vacant(place) => place.insert(Login::new(number)),
        };
        login.polls += 1;
        let fed = fed_at.is_some_and(|at| now.duration_since(at) < FED_WITHIN);
        poll.entered = Some((login.number, number));
        poll.undecided = login.undecided.filter(|_| fed).and_then(|undecided| undecided.remaining(now));
        poll.settled = (hold && *held < self.most && login.held.len() < MOST_HELD_FOR_ONE).then(|| {
            let (sender, settled) = oneshot::channel();
            login.held.push((number, sender));
            *held += 1;
            settled
        });
        if is_first {
            self.someone.notify_one();
        }
        poll
    }

    /// Whether a login that is opened now will probably find its polls held.
    pub fn have_room(&self) -> bool {
        self.held() < self.most / 4 * 3
    }

    /// Ends the entry of a grant that was settled, and wakes whoever waits for it.
    pub fn wake(&self, grant: GrantId, how: Decision) -> WokenPolls {
        let (sender, woken) = WokenPolls::new();
        let mut waiting = self.lock();
        let Some(login) = waiting.logins.remove(&grant) else { return woken };
        waiting.held -= login.held.len();
        drop(waiting);
        for (_, waiter) in login.held {
            let _ = waiter.send((how, sender.clone()));
        }
        woken
    }

    /// All that was settled before this moment has been brought by the feed. Also forgets who did not come again.
    pub fn fed(&self, moment: Instant) {
        let mut waiting = self.lock();
        waiting.fed_at = Some(moment);
        if waiting.tidied_at.is_none_or(|at| moment.duration_since(at) >= TIDY_EACH) {
            waiting.tidied_at = Some(moment);
            waiting.logins.retain(|_, login| login.polls > 0 || login.stays_until.is_some_and(|until| until > moment));
        }
    }

    /// Polls held now.
    pub fn held(&self) -> usize {
        self.lock().held
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.lock().logins.is_empty()
    }

    /// Returns when somebody waits.
    pub async fn someone(&self) {
        while self.is_empty() {
            self.someone.notified().await;
        }
    }

    fn found_undecided(&self, grant: GrantId, number: u64, undecided: Undecided) {
        let mut waiting = self.lock();
        // Where the entry is gone or another one, the grant was settled after it was read.
        if let Some(login) = waiting.logins.get_mut(&grant).filter(|login| login.number == number) {
            login.undecided = Some(undecided);
        }
    }

    fn leave(&self, grant: GrantId, number: u64, ticket: u64, comes_again: bool) {
        let mut waiting = self.lock();
        let Waiting { logins, held, .. } = &mut *waiting;
        let Entry::Occupied(mut entry) = logins.entry(grant) else { return };
        let login = entry.get_mut();
        if login.number != number {
            return;
        }
        login.polls -= 1;
        let before = login.held.len();
        login.held.retain(|(other, _)| *other != ticket);
        *held -= before - login.held.len();
        login.stays_until = comes_again.then(|| Instant::now() + COMES_AGAIN);
        if login.polls == 0 && !comes_again {
            entry.remove();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that runs under the lock can leave it half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Login {
    fn new(number: u64) -> Self {
        Self { number, polls: 0, held: Vec::new(), undecided: None, stays_until: None }
    }
}

impl Undecided {
    /// Time until the grant expires; `None` where only a look-up tells.
    fn remaining(self, now: Instant) -> Option<Duration> {
        let is_good = now.duration_since(self.found_at) < GOOD_FOR && now < self.expires_at;
        is_good.then(|| self.expires_at.duration_since(now))
    }
}

#[cfg(test)]
mod tests;
