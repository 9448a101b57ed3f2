//! The grants whose terminals wait at this replica, and the feed of decisions that are made at others.
//!
//! A terminal costs one entry and no database connection. The entry has the poll that is held for it, and whether the grant was
//! opened here or a look-up has found it pending: then its next polls need none, for [`KNOWN_FOR`]. A decision ends the entry and
//! wakes its poll: at once if it is made here, through the decision feed if it is made at another replica.
//!
//! - A poll enters before it is looked up. A decision between the two would be lost otherwise.
//! - A look-up counts only for the entry that its poll entered. If that one is gone, the grant was decided meanwhile.
//! - *Pending* counts only while the feed is current: its last read is less than [`FEED_CURRENT`] old.
//! - A client that is gone is not always noticed. Its poll ends with its hold, or when a newer poll of its grant comes.
//!
//! The feed is one statement every 50 ms, and none while no terminal waits: its cost does not grow with the number of held
//! polls. A transaction may commit later than the time that it wrote, so each read looks back further than to the one before. It
//! may commit later than any timeout, so a few reads look back a minute. A decision that is read again changes nothing.
//!
//! A replica that dies loses all of this, and its terminals poll another one.

use std::collections::HashMap;
use std::collections::hash_map::Entry::Occupied;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep};

use crate::flow::DeviceFlow;
use crate::grant::{Decision, GrantId};
use crate::limits::Permit;

/// How long a grant counts as pending after its look-up. If the feed missed a decision, it is found then.
const KNOWN_FOR: Duration = Duration::from_mins(1);
/// If the last read of the feed is older, nothing counts as pending.
const FEED_CURRENT: Duration = Duration::from_secs(1);
/// Between two reads of the feed, so a decision at another replica is known here after at most this time and one statement.
const FEED_PERIOD: Duration = Duration::from_millis(50);
const OVERLAP: Duration = Duration::from_millis(300);
const LONG_OVERLAP: Duration = Duration::from_mins(1);
const LONG_OVERLAP_EVERY: Duration = Duration::from_secs(5);
/// A terminal that was answered "pending" and does not poll again within this time has stopped.
const NEXT_POLL_WITHIN: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Waiting {
    grants: Mutex<Grants>,
    /// Notified when the first grant is entered: the feed pauses while there is none.
    entered: Notify,
}

#[derive(Default)]
struct Grants {
    entries: HashMap<GrantId, Entry>,
    next_number: u64,
    feed_read_at: Option<Instant>,
}

struct Entry {
    /// Tells this entry from an earlier one of the same grant.
    number: u64,
    /// Polls under way, the held one included.
    polls: usize,
    /// The newest: the one before it is probably that of a client that is gone.
    held: Option<oneshot::Sender<Decision>>,
    /// The grant was opened here, or a look-up has found it pending: until when that counts, and when the grant expires.
    known: Option<(Instant, Instant)>,
    kept_until: Instant,
}

/// A poll under way. Dropping it, as when its client disconnects, frees everything at once.
pub(super) struct Poll {
    waiting: Arc<Waiting>,
    pub(super) grant: GrantId,
    /// The entry's number.
    entry: u64,
    /// The decision, and its permit to be held, if the poll is held.
    held: Option<(oneshot::Receiver<Decision>, Permit)>,
    /// When the grant expires, if it is known to be pending; otherwise it has to be looked up.
    pub(super) known_expiry: Option<Instant>,
    terminal_returns: bool,
}

impl Waiting {
    /// Enters a poll; do so before its look-up. With a permit it is held.
    pub(super) fn enter(self: &Arc<Self>, grant: GrantId, permit: Option<Permit>) -> Poll {
        let now = Instant::now();
        let mut guard = self.lock();
        let grants = &mut *guard;
        let is_first = grants.entries.is_empty();
        let is_current = grants.feed_read_at.is_some_and(|at| now.duration_since(at) < FEED_CURRENT);
        let entry = grants.entries.entry(grant).or_insert_with(|| {
            grants.next_number += 1;
            Entry { number: grants.next_number, polls: 0, held: None, known: None, kept_until: now }
        });
        entry.polls += 1;
        let known = entry.known.filter(|(until, _)| is_current && now < *until);
        let held = permit.map(|permit| {
            let (sender, decision) = oneshot::channel();
            // The one before sees its channel closed, and answers.
            entry.held = Some(sender);
            (decision, permit)
        });
        let poll = Poll {
            waiting: Arc::clone(self),
            grant,
            entry: entry.number,
            held,
            known_expiry: known.map(|(_, expires_at)| expires_at),
            terminal_returns: false,
        };
        drop(guard);
        if is_first {
            self.entered.notify_one();
        }
        poll
    }

    /// A grant that was opened at this replica is known to be pending, as after a look-up.
    pub(super) fn opened(self: &Arc<Self>, grant: GrantId, expires_at: Instant) {
        let poll = self.enter(grant, None);
        poll.found_pending(expires_at);
        poll.terminal_returns();
    }

    /// Ends the entry of a decided grant, and wakes its held poll.
    pub(super) fn wake(&self, grant: GrantId, decision: Decision) {
        let entry = self.lock().entries.remove(&grant);
        if let Some(poll) = entry.and_then(|entry| entry.held) {
            let _ = poll.send(decision);
        }
    }

    /// The feed has brought all decisions made before `moment`.
    pub(super) fn feed_read(&self, moment: Instant) {
        self.lock().feed_read_at = Some(moment);
    }

    /// Forgets terminals that have stopped.
    pub(super) fn prune(&self, now: Instant) {
        self.lock().entries.retain(|_, entry| entry.polls > 0 || entry.kept_until > now);
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

    fn lock(&self) -> MutexGuard<'_, Grants> {
        // Nothing that runs under the lock can leave it half changed.
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Poll {
    /// Its look-up has found the grant pending.
    pub(super) fn found_pending(&self, expires_at: Instant) {
        let until = expires_at.min(Instant::now() + KNOWN_FOR);
        let mut grants = self.waiting.lock();
        if let Some(entry) = grants.entries.get_mut(&self.grant).filter(|entry| entry.number == self.entry) {
            entry.known = Some((until, expires_at));
        }
    }

    /// Whether it can wait for the decision.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Returns when the grant is decided, or `None` when a newer poll takes this one's place. Never if it is not held.
    pub(super) async fn decision(&mut self) -> Option<Decision> {
        let Some((decision, _)) = &mut self.held else { return std::future::pending().await };
        decision.await.ok()
    }

    /// The terminal will poll again: its entry stays, if it was held or its grant is known to be pending.
    pub(super) fn terminal_returns(mut self) {
        self.terminal_returns = true;
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        let was_held = self.held.take().is_some();
        let mut grants = self.waiting.lock();
        let Occupied(mut occupied) = grants.entries.entry(self.grant) else { return };
        let entry = occupied.get_mut();
        if entry.number != self.entry {
            return;
        }
        entry.polls -= 1;
        entry.held.take_if(|poll| poll.is_closed());
        // Of a poll with a made-up code, while the database is unavailable, nothing stays.
        if self.terminal_returns && (was_held || entry.known.is_some()) {
            entry.kept_until = Instant::now() + NEXT_POLL_WITHIN;
        } else if entry.polls == 0 {
            occupied.remove();
        }
    }
}

impl DeviceFlow {
    /// Never returns.
    pub(super) async fn follow_decisions(&self) {
        let mut read_at: Option<SystemTime> = None;
        let mut long_read_at: Option<Instant> = None;
        loop {
            if self.waiting.is_empty() {
                // A poll that comes later finds earlier decisions by its look-up.
                (read_at, long_read_at) = (None, None);
                self.waiting.not_empty().await;
            }
            let start = Instant::now();
            let is_long = long_read_at.is_none_or(|at| at.elapsed() >= LONG_OVERLAP_EVERY);
            // If the database is unavailable, the next read covers the time since the last one.
            match self.store.decided(read_at, if is_long { LONG_OVERLAP } else { OVERLAP }).await {
                Ok(decided) => {
                    for (grant, decision) in decided.grants {
                        self.waiting.wake(grant, decision);
                    }
                    read_at = Some(decided.clock);
                    if is_long {
                        long_read_at = Some(start);
                        self.waiting.prune(start);
                    }
                    self.waiting.feed_read(start);
                }
                // Polls that came meanwhile were held without a look-up. A decision shortly before the failure reaches them too.
                Err(_) => long_read_at = None,
            }
            sleep(FEED_PERIOD).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::grant::DeviceCode;

    const TTL: Duration = Duration::from_mins(15);

    fn waiting() -> Arc<Waiting> {
        Arc::default()
    }

    fn grant() -> GrantId {
        DeviceCode::random().grant_id()
    }

    fn held(waiting: &Arc<Waiting>, grant: GrantId) -> Poll {
        waiting.enter(grant, Some(Permit::default()))
    }

    fn plain(waiting: &Arc<Waiting>, grant: GrantId) -> Poll {
        waiting.enter(grant, None)
    }

    /// As a poll that looked its grant up and was answered "pending".
    fn pending_poll(waiting: &Arc<Waiting>, grant: GrantId, remaining: Duration) {
        waiting.opened(grant, Instant::now() + remaining);
    }

    fn is_known(waiting: &Arc<Waiting>, grant: GrantId) -> bool {
        let poll = plain(waiting, grant);
        let known = poll.known_expiry.is_some();
        poll.terminal_returns();
        known
    }

    impl Waiting {
        /// Makes everything that was noted older by `time`.
        fn age(&self, time: Duration) {
            let mut grants = self.lock();
            let older = |instant: &mut Instant| *instant -= time;
            grants.feed_read_at.iter_mut().for_each(older);
            for entry in grants.entries.values_mut() {
                older(&mut entry.kept_until);
                if let Some((until, expires_at)) = &mut entry.known {
                    older(until);
                    older(expires_at);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_decision_wakes_the_held_poll_of_its_grant_and_no_other() {
        let waiting = waiting();
        let (mine, other) = (grant(), grant());
        let (mut one, mut bystander) = (held(&waiting, mine), held(&waiting, other));
        waiting.wake(mine, Decision::Denied);
        assert_eq!(one.decision().await, Some(Decision::Denied));
        assert!(bystander.decision().now_or_never().is_none());
        drop((one, bystander));
        assert!(waiting.is_empty());
    }

    #[tokio::test]
    async fn the_newest_poll_of_a_grant_replaces_the_one_before() {
        let (waiting, grant) = (waiting(), grant());
        let (mut older, mut newest) = (held(&waiting, grant), held(&waiting, grant));
        assert_eq!(older.decision().await, None);
        drop(older);
        waiting.wake(grant, Decision::Approved);
        assert_eq!(newest.decision().await, Some(Decision::Approved));
    }

    #[test]
    fn a_pending_grant_is_known_while_the_feed_is_current() {
        let (waiting, grant) = (waiting(), grant());
        waiting.feed_read(Instant::now());
        assert!(!is_known(&waiting, grant), "it was not looked up");
        pending_poll(&waiting, grant, TTL);
        assert!(is_known(&waiting, grant));
        waiting.age(FEED_CURRENT);
        assert!(!is_known(&waiting, grant), "the feed is not current");
        let read_after = |time| {
            waiting.age(time);
            waiting.feed_read(Instant::now());
        };
        for _ in 0..8 {
            read_after(Duration::from_secs(7));
            assert!(is_known(&waiting, grant), "the feed is current again and has brought nothing");
        }
        read_after(Duration::from_secs(4));
        assert!(!is_known(&waiting, grant), "a minute has passed");
        pending_poll(&waiting, grant, Duration::from_secs(3));
        read_after(Duration::from_secs(3));
        assert!(!is_known(&waiting, grant), "the grant may have expired");
    }

    #[test]
    fn an_older_look_up_does_not_hide_a_decision() {
        let (waiting, grant) = (waiting(), grant());
        waiting.feed_read(Instant::now());
        pending_poll(&waiting, grant, TTL);
        waiting.wake(grant, Decision::Approved);
        assert!(!is_known(&waiting, grant));
        // The look-up of one poll is under way while the grant is decided and the next poll arrives.
        let slow = plain(&waiting, grant);
        waiting.wake(grant, Decision::Approved);
        let next = plain(&waiting, grant);
        slow.found_pending(Instant::now() + TTL);
        slow.terminal_returns();
        next.terminal_returns();
        assert!(!is_known(&waiting, grant));
    }

    #[test]
    fn a_terminal_that_stops_polling_is_forgotten() {
        let waiting = waiting();
        pending_poll(&waiting, grant(), TTL);
        waiting.prune(Instant::now());
        assert!(!waiting.is_empty());
        waiting.age(NEXT_POLL_WITHIN);
        waiting.prune(Instant::now());
        assert!(waiting.is_empty());
        drop(held(&waiting, grant()));
        assert!(waiting.is_empty(), "its client disconnected");
        plain(&waiting, grant()).terminal_returns();
        assert!(waiting.is_empty(), "it was not found: its code may be made up");
    }
}
