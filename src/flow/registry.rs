//! The grants whose terminals poll this replica: their held polls, and the pending cache.
//!
//! A grant costs one entry and no database connection. A poll enters its grant before it looks it up, so no decision falls
//! between the two. A decision ends the entry: at once if it was made here, through the decision feed if it was made at
//! another replica. So a grant that was found pending still is, as long as its entry exists and the feed is current, and its
//! next polls need no look-up.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::grant::{Decision, GrantId};

/// Held polls of this replica. With its connection each takes some 17 kB, and 256 MB has to be enough for a replica.
const MAX_HELD_POLLS: usize = 12_000;
/// Held polls of one grant. A terminal has one; more come only after a reply that was lost.
const MAX_HELD_POLLS_PER_GRANT: usize = 4;
/// Grants with an entry, 10 MB at most. The polls of others are looked up each time.
pub(super) const MAX_GRANTS: usize = 50_000;
/// How long a look-up counts. If the feed missed a decision, it is found after this time.
const CACHE_TTL: Duration = Duration::from_mins(1);
/// The feed is read every 100 ms. If the last read is older than this, the cache is not used.
pub(super) const FEED_CURRENT: Duration = Duration::from_secs(1);
/// A terminal that was answered "pending" and does not poll again within this time has stopped.
pub(super) const NEXT_POLL_WITHIN: Duration = Duration::from_secs(10);
const TIDY_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Registry {
    grants: Mutex<Grants>,
    max_held: usize,
    /// Notified when the first grant is entered: the feed pauses while there is none.
    entered: Notify,
}

#[derive(Debug, Default)]
struct Grants {
    entries: HashMap<GrantId, GrantEntry>,
    held: usize,
    next_number: u64,
    feed_read_at: Option<Instant>,
    tidied_at: Option<Instant>,
}

#[derive(Debug)]
struct GrantEntry {
    /// Tells this entry from an earlier one of the same grant.
    number: u64,
    /// Polls under way, held ones included.
    polls: usize,
    held: Vec<(u64, oneshot::Sender<Woken>)>,
    pending: Option<Pending>,
    /// Keeps the entry between two polls.
    kept_until: Option<Instant>,
}

/// A look-up found the grant pending.
#[derive(Debug, Clone, Copy)]
struct Pending {
    found_at: Instant,
    expires_at: Instant,
}

/// The decision, and a channel that reports the delivery of its token.
pub(super) type Woken = (Decision, mpsc::UnboundedSender<()>);

/// A poll's place in an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    entry: u64,
    poll: u64,
}

/// What a poll gets on arrival.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    /// `None` if there is no room for another grant.
    pub(super) ticket: Option<Ticket>,
    /// The time until the grant expires, if the cache knows that it is pending.
    pub(super) pending: Option<Duration>,
    /// The decision, if the poll is held.
    pub(super) decision: Option<oneshot::Receiver<Woken>>,
}

impl Registry {
    /// For a process that may have this many sockets. A quarter of them is for requests that are not held.
    pub(super) fn new(sockets: u64) -> Self {
        let max_held = usize::try_from(sockets / 4 * 3).unwrap_or(MAX_HELD_POLLS).min(MAX_HELD_POLLS);
        Self { grants: Mutex::default(), max_held, entered: Notify::new() }
    }

    /// Enters a poll before its look-up. With `hold` the poll is held, unless too many are.
    pub(super) fn arrive(&self, grant: GrantId, hold: bool) -> Arrival {
        let now = Instant::now();
        let mut grants = self.lock();
        let Grants { entries, held, next_number, feed_read_at, .. } = &mut *grants;
        let (is_first, is_full) = (entries.is_empty(), entries.len() >= MAX_GRANTS);
        let number = *next_number;
        *next_number += 1;
        let entry = match entries.entry(grant) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if is_full => return Arrival::default(),
            Entry::Vacant(place) => place.insert(GrantEntry::new(number)),
        };
        entry.polls += 1;
        let is_current = feed_read_at.is_some_and(|at| now.duration_since(at) < FEED_CURRENT);
        let pending = entry.pending.filter(|_| is_current).and_then(|pending| pending.remaining(now));
        let decision = (hold && *held < self.max_held && entry.held.len() < MAX_HELD_POLLS_PER_GRANT).then(|| {
            let (sender, decision) = oneshot::channel();
            entry.held.push((number, sender));
            *held += 1;
            decision
        });
        if is_first {
            self.entered.notify_one();
        }
        Arrival { ticket: Some(Ticket { entry: entry.number, poll: number }), pending, decision }
    }

    /// Whether the polls of a grant that is opened now will probably be held.
    pub(super) fn has_room(&self) -> bool {
        self.held() < self.max_held / 4 * 3
    }

    /// Ends the entry of a decided grant, and wakes its held polls.
    pub(super) fn wake(&self, grant: GrantId, decision: Decision) -> WokenPolls {
        let (sender, woken) = WokenPolls::new();
        let mut grants = self.lock();
        let Some(entry) = grants.entries.remove(&grant) else { return woken };
        grants.held -= entry.held.len();
        drop(grants);
        for (_, poll) in entry.held {
            let _ = poll.send((decision, sender.clone()));
        }
        woken
    }

    /// The feed has brought all decisions made before `moment`. Also forgets terminals that have stopped.
    pub(super) fn feed_read(&self, moment: Instant) {
        let mut grants = self.lock();
        grants.feed_read_at = Some(moment);
        if grants.tidied_at.is_none_or(|at| moment.duration_since(at) >= TIDY_EVERY) {
            grants.tidied_at = Some(moment);
            grants.entries.retain(|_, entry| entry.polls > 0 || entry.kept_until.is_some_and(|until| until > moment));
        }
    }

    pub(super) fn held(&self) -> usize {
        self.lock().held
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    /// Returns when there is a grant.
    pub(super) async fn not_empty(&self) {
        while self.is_empty() {
            self.entered.notified().await;
        }
    }

    /// A poll's look-up has found its grant pending.
    pub(super) fn found_pending(&self, grant: GrantId, ticket: Ticket, remaining: Duration) {
        let now = Instant::now();
        let mut grants = self.lock();
        // If the entry is gone or another one, the grant was decided after it was read.
        if let Some(entry) = grants.entries.get_mut(&grant).filter(|entry| entry.number == ticket.entry) {
            entry.pending = Some(Pending { found_at: now, expires_at: now + remaining });
        }
    }

    /// A poll ends. `keep` keeps the entry for the next one.
    pub(super) fn leave(&self, grant: GrantId, ticket: Ticket, keep: bool) {
        let mut grants = self.lock();
        let Grants { entries, held, .. } = &mut *grants;
        let Entry::Occupied(mut occupied) = entries.entry(grant) else { return };
        let entry = occupied.get_mut();
        if entry.number != ticket.entry {
            return;
        }
        entry.polls -= 1;
        let before = entry.held.len();
        entry.held.retain(|(poll, _)| *poll != ticket.poll);
        *held -= before - entry.held.len();
        entry.kept_until = keep.then(|| Instant::now() + NEXT_POLL_WITHIN);
        if entry.polls == 0 && !keep {
            occupied.remove();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Grants> {
        // Nothing that runs under the lock can leave it half changed.
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GrantEntry {
    fn new(number: u64) -> Self {
        Self { number, polls: 0, held: Vec::new(), pending: None, kept_until: None }
    }
}

impl Pending {
    /// The time until the grant expires; `None` if only a look-up can tell.
    fn remaining(self, now: Instant) -> Option<Duration> {
        let is_good = now.duration_since(self.found_at) < CACHE_TTL && now < self.expires_at;
        is_good.then(|| self.expires_at.duration_since(now))
    }
}

/// The held polls that a decision has woken on this replica.
#[derive(Debug)]
pub(super) struct WokenPolls(mpsc::UnboundedReceiver<()>);

impl WokenPolls {
    fn new() -> (mpsc::UnboundedSender<()>, Self) {
        let (sender, delivered) = mpsc::unbounded_channel();
        (sender, Self(delivered))
    }

    /// Returns when one of them has delivered the token; false if none has, or none was held here.
    pub(super) async fn delivered(&mut self) -> bool {
        self.0.recv().await.is_some()
    }
}

#[cfg(test)]
impl Registry {
    /// Makes everything that was noted older by `time`.
    pub(super) fn age(&self, time: Duration) {
        let mut grants = self.lock();
        let older = |instant: &mut Instant| *instant -= time;
        grants.feed_read_at.iter_mut().for_each(older);
        grants.tidied_at.iter_mut().for_each(older);
        for entry in grants.entries.values_mut() {
            entry.kept_until.iter_mut().for_each(older);
            if let Some(pending) = &mut entry.pending {
                older(&mut pending.found_at);
                older(&mut pending.expires_at);
            }
        }
    }
}
