//! The grants whose terminals poll this replica: their held polls, and the pending cache.
//!
//! A grant costs one entry and no database connection. A poll enters its grant before it looks it up, so no decision falls
//! between the two. A decision ends the entry: at once if it was made here, through the decision feed if it was made at
//! another replica. So a grant that was found pending still is, as long as its entry exists and the feed is current, and its
//! next polls need no look-up.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::capacity::Capacity;
use crate::flow::budget::{Budget, Place, Usage};
use crate::flow::entry::{Arriving, GrantEntry, Pending, Woken};
use crate::grant::{Decision, GrantId};
use crate::metrics::Limit;

/// The feed is read every 100 ms. If the last read is older than this, the cache is not used.
pub(super) const FEED_CURRENT: Duration = Duration::from_secs(1);
/// A terminal that was answered "pending" and does not poll again within this time has stopped.
pub(super) const NEXT_POLL_WITHIN: Duration = Duration::from_secs(10);
/// Most people press *Authorize* within this time after they have confirmed their code.
const AT_POSTIZ: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Registry {
    grants: Mutex<Grants>,
    /// Notified when the first grant is entered: the feed pauses while there is none.
    entered: Notify,
}

#[derive(Debug)]
struct Grants {
    entries: HashMap<GrantId, GrantEntry>,
    /// Entries that there may be, of some 200 bytes each. The polls of other grants are looked up each time.
    most: usize,
    budget: Budget,
    next_number: u64,
    /// Grants with an entry whose person was sent to Postiz, since then.
    confirmed: HashMap<GrantId, Instant>,
    feed_read_at: Option<Instant>,
}

/// A poll's place in an entry, and in the budget if it is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    pub(super) entry: u64,
    poll: u64,
    place: Option<Place>,
}

/// What a poll gets on arrival.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    /// `None` if there is no room for another grant.
    pub(super) ticket: Option<Ticket>,
    /// The time until the grant expires, if the cache knows that it is pending.
    pub(super) pending: Option<Duration>,
    /// Whether the grant is known to be pending and the poll before it is known to be less than the interval ago.
    pub(super) early: bool,
    /// The decision, if the poll is held.
    pub(super) decision: Option<oneshot::Receiver<Woken>>,
    /// Why it is not held, if it should be.
    pub(super) limit: Option<Limit>,
}

impl Registry {
    pub(super) fn new(capacity: Capacity) -> Self {
        let grants = Grants {
            entries: HashMap::new(),
            budget: Budget::new(capacity),
            most: capacity.grants,
            next_number: 0,
            confirmed: HashMap::new(),
            feed_read_at: None,
        };
        Self { grants: Mutex::new(grants), entered: Notify::new() }
    }

    /// Enters a poll before its look-up. It is held if it may be and there is room.
    pub(super) fn arrive(&self, grant: GrantId, poll: &Arriving) -> Arrival {
        let now = Instant::now();
        let mut grants = self.lock();
        let Grants { entries, most, budget, next_number, feed_read_at, .. } = &mut *grants;
        let (is_first, is_full) = (entries.is_empty(), entries.len() >= *most);
        let number = *next_number;
        *next_number += 1;
        let entry = match entries.entry(grant) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if is_full => {
                return Arrival { limit: poll.hold.then_some(Limit::HeldPolls), ..Arrival::default() };
            }
            Entry::Vacant(place) => place.insert(GrantEntry::new(number)),
        };
        entry.polls += 1;
        let is_current = feed_read_at.is_some_and(|at| now.duration_since(at) < FEED_CURRENT);
        let pending = entry.pending.filter(|_| is_current).and_then(|pending| pending.remaining(now));
        let early = pending.is_some() && poll.interval.is_some_and(|interval| entry.noted_within(interval, now));
        let mut arrival = Arrival { pending, early, ..Arrival::default() };
        let mut place = None;
        if poll.hold && !early {
            match entry.hold(number, budget, poll) {
                Ok((taken, decision)) => (place, arrival.decision) = (Some(taken), Some(decision)),
                Err(limit) => arrival.limit = Some(limit),
            }
        }
        arrival.ticket = Some(Ticket { entry: entry.number, poll: number, place });
        if is_first {
            self.entered.notify_one();
        }
        arrival
    }

    /// Whether the polls of a grant that this client opens now will probably be held.
    pub(super) fn has_room(&self, client: Option<IpAddr>) -> bool {
        self.lock().budget.has_room(client)
    }

    /// Ends the entry of a decided grant, and wakes its held polls.
    pub(super) fn wake(&self, grant: GrantId, decision: Decision) -> WokenPolls {
        let (sender, woken) = WokenPolls::new();
        let mut grants = self.lock();
        let Some(entry) = grants.entries.remove(&grant) else { return woken };
        grants.confirmed.remove(&grant);
        drop(grants);
        for (_, poll) in entry.held {
            let _ = poll.send((decision, sender.clone()));
        }
        woken
    }

    /// A person has confirmed a grant's code, at any replica. The feed brings this more than once.
    pub(super) fn confirmed(&self, grant: GrantId, moment: Instant) {
        let mut grants = self.lock();
        let Grants { entries, confirmed, .. } = &mut *grants;
        if entries.contains_key(&grant) {
            confirmed.entry(grant).or_insert(moment);
        }
    }

    /// The feed has brought all decisions made before `moment`. Returns whether a decision is near.
    pub(super) fn feed_read(&self, moment: Instant) -> bool {
        let mut grants = self.lock();
        grants.feed_read_at = Some(moment);
        grants.confirmed.values().any(|at| moment.duration_since(*at) < AT_POSTIZ)
    }

    /// Forgets terminals that have stopped. Returns the grants to look up again, with the numbers of their entries.
    pub(super) fn tidy(&self, moment: Instant) -> HashMap<GrantId, u64> {
        let mut grants = self.lock();
        let Grants { entries, confirmed, .. } = &mut *grants;
        entries.retain(|_, entry| entry.polls > 0 || entry.kept_until.is_some_and(|until| until > moment));
        confirmed.retain(|grant, _| entries.contains_key(grant));
        let aged = entries.iter().filter(|(_, entry)| entry.pending.is_some_and(|pending| pending.is_aged(moment)));
        aged.map(|(grant, entry)| (*grant, entry.number)).collect()
    }

    /// Held polls, and the memory that they are accounted with.
    pub(super) fn held(&self) -> Usage {
        self.lock().budget.used()
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

    /// A look-up made for this entry has found its grant pending. `noted_at` is the time if the database has noted a poll that
    /// has to keep an interval.
    pub(super) fn found_pending(&self, grant: GrantId, entry: u64, remaining: Duration, noted_at: Option<Instant>) {
        let now = Instant::now();
        let mut grants = self.lock();
        // If the entry is gone or another one, the grant was decided after it was read.
        if let Some(entry) = grants.entries.get_mut(&grant).filter(|found| found.number == entry) {
            entry.pending = Some(Pending { found_at: now, expires_at: now + remaining });
            entry.noted_at = entry.noted_at.max(noted_at);
        }
    }

    /// A poll ends. `keep` keeps the entry for the next one.
    pub(super) fn leave(&self, grant: GrantId, ticket: Ticket, keep: bool) {
        let mut grants = self.lock();
        let Grants { entries, budget, .. } = &mut *grants;
        if let Some(place) = ticket.place {
            budget.give_back(place);
        }
        let Entry::Occupied(mut occupied) = entries.entry(grant) else { return };
        let entry = occupied.get_mut();
        if entry.number != ticket.entry {
            return;
        }
        entry.polls -= 1;
        entry.held.retain(|(poll, _)| *poll != ticket.poll);
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
        for entry in grants.entries.values_mut() {
            entry.kept_until.iter_mut().for_each(older);
            entry.noted_at.iter_mut().for_each(older);
            if let Some(pending) = &mut entry.pending {
                older(&mut pending.found_at);
                older(&mut pending.expires_at);
            }
        }
    }
}
