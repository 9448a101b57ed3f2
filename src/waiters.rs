//! Terminals that wait here for their login to be settled, in memory.
//!
//! A waiter costs one entry and no database connection. It is registered before the grant is read,
//! so no settlement falls between the two. What settles on this replica wakes it at once; what
//! settles on another one is brought by the feed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::grant::{GrantId, Settled};

/// Polls held at a time, over all logins: about half a kilobyte each with its connection's buffers apart.
pub const MOST_HELD: usize = 20_000;
/// Polls held for one login. A terminal has one; more only come of an answer lost on its way.
const MOST_HELD_FOR_ONE: usize = 4;

/// Everyone who waits on this replica.
#[derive(Debug, Default)]
pub struct Waiters {
    waiting: Mutex<Waiting>,
    /// Told when the first one comes, so that the feed can rest while there is none.
    someone: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    grants: HashMap<GrantId, Vec<(u64, oneshot::Sender<Settled>)>>,
    held: usize,
    next: u64,
}

impl Waiters {
    /// Registers a poll; `None` where too many are held already and this one should be answered at once.
    pub fn register(self: &Arc<Self>, grant: GrantId) -> Option<Waiter> {
        let (sender, settled) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.held >= MOST_HELD {
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
        Some(Waiter { waiters: Arc::clone(self), grant, ticket, settled })
    }

    /// Wakes whoever waits for this grant.
    pub fn wake(&self, grant: GrantId, how: Settled) {
        let mut waiting = self.lock();
        let Some(polls) = waiting.grants.remove(&grant) else { return };
        waiting.held -= polls.len();
        drop(waiting);
        for (_, waiter) in polls {
            let _ = waiter.send(how);
        }
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
    settled: oneshot::Receiver<Settled>,
}

impl Waiter {
    /// Returns when the grant is settled.
    pub async fn settled(&mut self) -> Settled {
        match (&mut self.settled).await {
            Ok(how) => how,
            // The sender lives in the map until it has sent or this waiter is dropped.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.forget(self.grant, self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::DeviceCode;

    #[tokio::test]
    async fn a_settlement_wakes_everyone_who_waits_for_it_and_nobody_else() {
        let waiters = Arc::new(Waiters::default());
        let (mine, other) = (DeviceCode::random().grant_id(), DeviceCode::random().grant_id());
        let (mut one, mut two) = (waiters.register(mine).unwrap(), waiters.register(mine).unwrap());
        let bystander = waiters.register(other).unwrap();
        waiters.wake(mine, Settled::Denied);
        assert_eq!(one.settled().await, Settled::Denied);
        assert_eq!(two.settled().await, Settled::Denied);
        assert_eq!(waiters.held(), 1);
        drop((one, two, bystander));
        assert_eq!(waiters.held(), 0);
    }

    #[tokio::test]
    async fn who_goes_away_leaves_nothing_behind() {
        let waiters = Arc::new(Waiters::default());
        let grant = DeviceCode::random().grant_id();
        drop(waiters.register(grant).unwrap());
        assert_eq!(waiters.held(), 0);
        assert!(waiters.lock().grants.is_empty());
    }

    #[test]
    fn one_login_can_not_hold_many_polls() {
        let waiters = Arc::new(Waiters::default());
        let grant = DeviceCode::random().grant_id();
        let held: Vec<_> = (0..MOST_HELD_FOR_ONE).map(|_| waiters.register(grant).unwrap()).collect();
        assert!(waiters.register(grant).is_none());
        drop(held);
        assert!(waiters.register(grant).is_some());
    }
}
