//! Terminals that wait here for their login to be settled, in memory.
//!
//! A waiter costs one entry and no database connection. It is registered before the grant is read,
//! so no settlement falls between the two. What settles on this replica wakes it at once; what
//! settles on another one is brought by the feed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot};

use crate::grant::{GrantId, Settled};

/// Polls held at a time, over all logins, however many sockets there may be: with its connection each
/// takes some 17 kB, and a replica should do with 256 MB.
const MOST_HELD: usize = 12_000;
/// Polls held for one login. A terminal has one; more only come of an answer lost on its way.
const MOST_HELD_FOR_ONE: usize = 4;

/// Everyone who waits on this replica.
#[derive(Debug)]
pub struct Waiters {
    waiting: Mutex<Waiting>,
    /// Polls held at a time, at most.
    most: usize,
    /// Told when the first one comes, so that the feed can rest while there is none.
    someone: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    grants: HashMap<GrantId, Vec<(u64, oneshot::Sender<Settlement>)>>,
    held: usize,
    next: u64,
}

/// How a grant was settled, and whom to tell that its token was delivered.
type Settlement = (Settled, mpsc::UnboundedSender<()>);

impl Waiters {
    /// For a process that may have so many sockets; some of them are for others than who waits.
    pub fn new(sockets: u64) -> Self {
        let room = usize::try_from(sockets / 4 * 3).unwrap_or(MOST_HELD);
        Self { waiting: Mutex::default(), most: room.min(MOST_HELD), someone: Notify::new() }
    }

    /// Registers a poll; `None` where too many are held already and this one should be answered at once.
    pub fn register(self: &Arc<Self>, grant: GrantId) -> Option<Waiter> {
        let (sender, settled) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.held >= self.most {
            return None;
        }
        let ticket = waiting.next;
        let polls = waiting.grants.entry(grant).or_default();
        if polls.len() >= MOST_HELD_FOR_ONE {
            return None;
        }
        polls.push((ticket, sender));
        waiting.next += 1;
        waiting.held += 1;
        if waiting.held == 1 {
            self.someone.notify_one();
        }
        Some(Waiter { waiters: Arc::clone(self), grant, ticket, settled, delivered: None })
    }

    /// Whether a login that is opened now will probably find its polls held.
    pub fn have_room(&self) -> bool {
        self.held() < self.most / 4 * 3
    }

    /// Wakes whoever waits for this grant.
    pub fn wake(&self, grant: GrantId, how: Settled) -> WokenPolls {
        let (sender, delivered) = mpsc::unbounded_channel();
        let woken = WokenPolls { delivered };
        let mut waiting = self.lock();
        let Some(polls) = waiting.grants.remove(&grant) else { return woken };
        waiting.held -= polls.len();
        drop(waiting);
        for (_, waiter) in polls {
            let _ = waiter.send((how, sender.clone()));
        }
        woken
    }

    /// Polls held now.
    pub fn held(&self) -> usize {
        self.lock().held
    }

    /// Returns when somebody waits.
    pub async fn someone(&self) {
        while self.held() == 0 {
            self.someone.notified().await;
        }
    }

    fn forget(&self, grant: GrantId, ticket: u64) {
        let mut waiting = self.lock();
        let Entry::Occupied(mut polls) = waiting.grants.entry(grant) else { return };
        let before = polls.get().len();
        polls.get_mut().retain(|(other, _)| *other != ticket);
        let left = polls.get().len();
        if left == 0 {
            polls.remove();
        }
        waiting.held -= before - left;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that runs under the lock can leave it half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One held poll; dropping it, as when its client goes away, frees everything at once.
#[derive(Debug)]
pub struct Waiter {
    waiters: Arc<Waiters>,
    grant: GrantId,
    ticket: u64,
    settled: oneshot::Receiver<Settlement>,
    delivered: Option<mpsc::UnboundedSender<()>>,
}

impl Waiter {
    /// Returns when the grant is settled.
    pub async fn settled(&mut self) -> Settled {
        match (&mut self.settled).await {
            Ok((how, delivered)) => {
                self.delivered = Some(delivered);
                how
            }
            // The sender lives in the map until it has sent or this waiter is dropped.
            Err(_) => std::future::pending().await,
        }
    }

    /// Tells who woke this poll that it has brought the token.
    pub fn has_delivered(&self) {
        if let Some(delivered) = &self.delivered {
            let _ = delivered.send(());
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.forget(self.grant, self.ticket);
    }
}

/// The polls that a settlement has woken on this replica.
#[derive(Debug)]
pub struct WokenPolls {
    delivered: mpsc::UnboundedReceiver<()>,
}

impl WokenPolls {
    /// Returns when one of them has brought the token; false where none did, or none waited here.
    pub async fn delivered(&mut self) -> bool {
        self.delivered.recv().await.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::DeviceCode;

    #[tokio::test]
    async fn a_settlement_wakes_everyone_who_waits_for_it_and_nobody_else() {
        let waiters = Arc::new(Waiters::new(1_000));
        let (mine, other) = (DeviceCode::random().grant_id(), DeviceCode::random().grant_id());
        let (mut one, mut two) = (waiters.register(mine).unwrap(), waiters.register(mine).unwrap());
        let bystander = waiters.register(other).unwrap();
        drop(waiters.wake(mine, Settled::Denied));
        assert_eq!(one.settled().await, Settled::Denied);
        assert_eq!(two.settled().await, Settled::Denied);
        assert_eq!(waiters.held(), 1);
        drop((one, two, bystander));
        assert_eq!(waiters.held(), 0);
    }

    #[tokio::test]
    async fn who_goes_away_leaves_nothing_behind() {
        let waiters = Arc::new(Waiters::new(1_000));
        let grant = DeviceCode::random().grant_id();
        drop(waiters.register(grant).unwrap());
        assert_eq!(waiters.held(), 0);
        assert!(waiters.lock().grants.is_empty());
    }

    #[test]
    fn one_login_can_not_hold_many_polls() {
        let waiters = Arc::new(Waiters::new(1_000));
        let grant = DeviceCode::random().grant_id();
        let held: Vec<_> = (0..MOST_HELD_FOR_ONE).map(|_| waiters.register(grant).unwrap()).collect();
        assert!(waiters.register(grant).is_none());
        drop(held);
        assert!(waiters.register(grant).is_some());
    }

    #[tokio::test]
    async fn who_wakes_a_poll_hears_what_became_of_it() {
        let waiters = Arc::new(Waiters::new(1_000));
        let grant = DeviceCode::random().grant_id();
        assert!(!waiters.wake(grant, Settled::Approved).delivered().await, "nobody waited");
        let mut poll = waiters.register(grant).unwrap();
        let mut woken = waiters.wake(grant, Settled::Approved);
        poll.settled().await;
        poll.has_delivered();
        assert!(woken.delivered().await);
        let mut poll = waiters.register(grant).unwrap();
        let mut woken = waiters.wake(grant, Settled::Approved);
        poll.settled().await;
        drop(poll);
        assert!(!woken.delivered().await, "its client went away");
    }

    #[test]
    fn polls_are_held_while_there_are_sockets_for_them() {
        let waiters = Arc::new(Waiters::new(16));
        let grants: Vec<_> = (0..13).map(|_| DeviceCode::random().grant_id()).collect();
        let held: Vec<_> = grants[..12].iter().map(|grant| waiters.register(*grant).unwrap()).collect();
        assert!(waiters.register(grants[12]).is_none());
        assert!(!waiters.have_room());
        drop(held);
        assert!(waiters.have_room() && waiters.register(grants[12]).is_some());
    }
}
