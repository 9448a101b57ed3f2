//! Counts the authorization codes that Postiz refused, or that were made worthless, by the networks that brought them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::time::Instant;

use crate::grant::{GROWTH, networks, surroundings};

/// Of one client in a window.
const MAX_REFUSALS: u32 = 10;
const WINDOW: Duration = Duration::from_mins(10);
/// Of all clients in [`WINDOW_OF_ALL`]. Past that, a client whose surroundings have a refusal in their window has to wait.
/// Other clients don't: an attacker who uses this budget up must not stop every login.
const MAX_REFUSALS_OF_ALL: u32 = 600;
const WINDOW_OF_ALL: Duration = Duration::from_hours(1);
/// Networks that are counted apart. Past that, a further one has only the budget of all.
const MAX_NETWORKS: usize = 50_000;

#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Counters>);

#[derive(Debug, Default)]
struct Counters {
    networks: HashMap<IpNet, Counter>,
    of_all: Option<Counter>,
}

#[derive(Debug, Clone, Copy)]
struct Counter {
    refusals: u32,
    ends_at: Instant,
}

impl Refusals {
    /// The time until this client may have a code exchanged; `None` if it may now.
    pub(super) fn wait(&self, client: IpAddr) -> Option<Duration> {
        self.lock().wait(client, Instant::now())
    }

    pub(super) fn count(&self, client: IpAddr) {
        self.lock().count(client, Instant::now());
    }

    /// As [`Self::count`], unless the client has to wait.
    pub(super) fn try_count(&self, client: IpAddr) -> Result<(), Duration> {
        let (mut counters, now) = (self.lock(), Instant::now());
        match counters.wait(client, now) {
            Some(wait) => Err(wait),
            None => {
                counters.count(client, now);
                Ok(())
            }
        }
    }

    pub(super) fn prune(&self) {
        let (mut counters, now) = (self.lock(), Instant::now());
        counters.networks.retain(|_, counter| counter.ends_at > now);
        counters.networks.shrink_to_fit();
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        // Nothing that runs under the lock can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    fn wait(&self, client: IpAddr, now: Instant) -> Option<Duration> {
        let counted = |network: &IpNet| self.networks.get(network).filter(|counter| counter.ends_at > now);
        let exhausted = networks(client).zip(GROWTH).filter_map(|(network, growth)| {
            counted(&network).filter(|counter| counter.refusals >= MAX_REFUSALS * growth)
        });
        let all_exhausted =
            self.of_all.is_some_and(|counter| counter.ends_at > now && counter.refusals >= MAX_REFUSALS_OF_ALL);
        let suspected = counted(&surroundings(client)).filter(|_| all_exhausted);
        exhausted.chain(suspected).map(|counter| counter.ends_at - now).max()
    }

    fn count(&mut self, client: IpAddr, now: Instant) {
        for network in networks(client) {
            if self.networks.len() < MAX_NETWORKS || self.networks.contains_key(&network) {
                Counter::count(self.networks.entry(network).or_insert(Counter::new(now, WINDOW)), now, WINDOW);
            }
        }
        Counter::count(self.of_all.get_or_insert(Counter::new(now, WINDOW_OF_ALL)), now, WINDOW_OF_ALL);
    }
}

impl Counter {
    fn new(now: Instant, window: Duration) -> Self {
        Self { refusals: 0, ends_at: now + window }
    }

    fn count(&mut self, now: Instant, window: Duration) {
        if self.ends_at <= now {
            *self = Self::new(now, window);
        }
        self.refusals += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn past_ten_refusals_a_client_waits_until_its_window_ends_and_its_neighbour_does_not() {
        let (mut counters, now) = (Counters::default(), Instant::now());
        let (client, neighbour) = (address("192.0.2.1"), address("192.0.2.2"));
        for second in 0..10 {
            assert_eq!(counters.wait(client, now), None);
            counters.count(client, now + Duration::from_secs(second));
        }
        assert_eq!(counters.wait(client, now), Some(WINDOW));
        assert_eq!(counters.wait(client, now + WINDOW / 2), Some(WINDOW / 2));
        assert_eq!(counters.wait(neighbour, now), None);
        assert_eq!(counters.wait(client, now + WINDOW), None);
        counters.count(client, now + WINDOW);
        assert_eq!(counters.wait(client, now + WINDOW), None, "a new window begins at one");
    }

    #[test]
    fn the_networks_around_a_client_have_larger_budgets() {
        for (most, other, client) in [
            (40, "192.0.2.200", (|n| format!("192.0.2.{n}")) as fn(u32) -> String),
            (40, "2001:db8:1:2ff::1", |n| format!("2001:db8:1:2{n:02x}::1")),
            (160, "2001:db8:2:ffff::1", |n| format!("2001:db8:2:{:x}::1", n << 8)),
        ] {
            let (mut counters, now) = (Counters::default(), Instant::now());
            for n in 0..most {
                assert_eq!(counters.wait(address(other), now), None, "{n}");
                counters.count(address(&client(n)), now);
            }
            assert_eq!(counters.wait(address(other), now), Some(WINDOW), "{other}");
        }
    }

    #[test]
    fn past_the_budget_of_all_only_networks_with_a_refusal_wait() {
        let (mut counters, now) = (Counters::default(), Instant::now());
        for n in 0..MAX_REFUSALS_OF_ALL {
            counters.count(IpAddr::from([10, 1, u8::try_from(n % 200).unwrap(), 1]), now);
        }
        assert_eq!(counters.wait(address("10.1.7.1"), now), Some(WINDOW), "it has three of its ten");
        assert_eq!(counters.wait(address("10.1.7.9"), now), Some(WINDOW), "its neighbour has");
        assert_eq!(counters.wait(address("198.51.100.1"), now), None, "an honest client");
        assert_eq!(counters.wait(address("10.1.7.1"), now + WINDOW), None);
        counters.count(address("10.1.7.1"), now + WINDOW);
        assert!(counters.wait(address("10.1.7.1"), now + WINDOW).is_some(), "one in each window, until the hour ends");
        assert_eq!(counters.wait(address("10.1.7.1"), now + WINDOW_OF_ALL), None);
    }

    #[test]
    fn requests_that_arrive_together_share_one_budget() {
        let (refusals, client) = (Refusals::default(), address("192.0.2.1"));
        let granted = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| (0..8).filter(|_| refusals.try_count(client).is_ok()).count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(granted, 10);
        assert!(refusals.wait(client).is_some());
    }

    #[test]
    fn memory_is_bounded_and_freed() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        for n in 0..200_000_u32 {
            refusals.lock().count(IpAddr::from(n.to_be_bytes()), now);
        }
        assert_eq!(refusals.lock().networks.len(), MAX_NETWORKS);
        refusals.lock().networks.values_mut().for_each(|counter| counter.ends_at = now);
        refusals.prune();
        assert!(refusals.lock().networks.is_empty());
    }
}
