//! A line for each network: a few of its requests are at work, more of them wait in their order, and past a bound a client is
//! refused. So a network's requests wait for each other, and those of other networks don't wait for them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::grant::Origin;

/// A line moves on in milliseconds.
const RETRY_AFTER: Duration = Duration::from_secs(3);

/// A client is over its limit until this time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimited {
    pub retry_after: Duration,
}

#[derive(Debug)]
pub struct Lines {
    at_work: usize,
    /// How many one client, and the network around it, may have at work and in line.
    most: (usize, usize),
    counted: Mutex<HashMap<IpNet, Line>>,
}

#[derive(Debug)]
struct Line {
    members: usize,
    turns: Arc<Semaphore>,
}

/// A place at work; given back when it is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    _member: Member<'a>,
    _turn: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Member<'a> {
    lines: &'a Lines,
    origin: Origin,
}

impl Lines {
    pub fn new(at_work: usize, most: (usize, usize)) -> Self {
        Self { at_work, most, counted: Mutex::default() }
    }

    /// Waits for the network's turn, or refuses if the client has too many in line.
    pub async fn enter(&self, client: Option<IpAddr>) -> Result<Place<'_>, RateLimited> {
        let (member, turns) = self.join(Origin::of(client))?;
        // The semaphore is never closed.
        Ok(Place { _member: member, _turn: turns.acquire_owned().await.ok() })
    }

    fn join(&self, origin: Origin) -> Result<(Member<'_>, Arc<Semaphore>), RateLimited> {
        let mut counted = self.lock();
        let members = |of: &IpNet| counted.get(of).map_or(0, |line| line.members);
        let client_is_full = origin.client.is_some_and(|client| members(&client) >= self.most.0);
        if client_is_full || members(&origin.network) >= self.most.1 {
            return Err(RateLimited { retry_after: RETRY_AFTER });
        }
        for of in origin.client.into_iter().chain([origin.network]) {
            let line = || Line { members: 0, turns: Arc::new(Semaphore::new(self.at_work)) };
            counted.entry(of).or_insert_with(line).members += 1;
        }
        let turns = Arc::clone(&counted[&origin.network].turns);
        Ok((Member { lines: self, origin }, turns))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpNet, Line>> {
        // Nothing that runs under the lock can leave it half changed.
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        let mut counted = self.lines.lock();
        for of in self.origin.client.into_iter().chain([self.origin.network]) {
            if let Some(line) = counted.get_mut(&of) {
                line.members -= 1;
                if line.members == 0 {
                    counted.remove(&of);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn host(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[tokio::test]
    async fn a_network_waits_for_itself_and_for_no_other() {
        let lines = Lines::new(2, (3, 4));
        let first = lines.enter(host("2001:db8:1:1::1")).await.unwrap();
        let _second = lines.enter(host("2001:db8:1:2::1")).await.unwrap();
        let mut third = Box::pin(lines.enter(host("2001:db8:1:3::1")));
        assert!((&mut third).now_or_never().is_none(), "of the same /48");
        assert!(lines.enter(host("2001:db8:2::1")).now_or_never().is_some(), "of another one");
        drop(first);
        assert!(third.now_or_never().unwrap().is_ok(), "the place is free");
    }

    #[tokio::test]
    async fn a_full_line_refuses_its_client_and_then_its_network() {
        let lines = Lines::new(9, (2, 3));
        let enter = |text| lines.enter(host(text)).now_or_never().unwrap();
        let places = [enter("192.0.2.1").unwrap(), enter("192.0.2.1").unwrap()];
        assert!(enter("192.0.2.1").is_err());
        let neighbour = enter("192.0.2.2").unwrap();
        assert!(enter("192.0.2.3").is_err());
        assert!(enter("198.51.100.1").is_ok());
        drop((places, neighbour));
        assert!(lines.lock().is_empty());
    }

    #[tokio::test]
    async fn a_caller_that_stops_waiting_leaves_the_line() {
        let lines = Lines::new(1, (9, 9));
        let place = lines.enter(None).await.unwrap();
        let mut waiting = Box::pin(lines.enter(None));
        assert!((&mut waiting).now_or_never().is_none());
        drop(waiting);
        drop(place);
        assert!(lines.lock().is_empty());
    }
}
