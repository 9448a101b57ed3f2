//! One network's share of something that all need: its requests wait for each other, and other networks' don't wait for them.
//!
//! Of the registrations at Postiz, and of the database connections for statements that one request causes alone. Look-ups and openings are grouped, so a flood of them costs few statements.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::grant::{or_unspecified, surroundings};

/// Networks are spread over this number of shares by a hash that no client knows. The memory is fixed, and two networks meet in
/// one share by chance only.
const SHARES: usize = 1024;
/// A request of a network that has its share in use is refused after this time. A flood that is refused slowly is a
/// smaller flood.
const WAIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Shares {
    shares: Box<[Semaphore]>,
    hasher: RandomState,
}

impl Shares {
    /// Each share is half of `total`.
    pub(super) fn new(total: usize) -> Self {
        let share = (total / 2).max(1);
        Self { shares: (0..SHARES).map(|_| Semaphore::new(share)).collect(), hasher: RandomState::new() }
    }

    /// Waits for a place in the client's share; `None` if it gets none in time.
    pub(super) async fn enter(&self, client: Option<IpAddr>) -> Option<SemaphorePermit<'_>> {
        timeout(WAIT, self.of(client).acquire()).await.ok()?.ok()
    }

    #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
    fn of(&self, client: Option<IpAddr>) -> &Semaphore {
        let network = surroundings(or_unspecified(client));
        &self.shares[self.hasher.hash_one(network) as usize % SHARES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_has_half() {
        let shares = Shares::new(8);
        let host = |n| format!("2001:db8:1:{n}::1").parse().ok();
        let places: Vec<_> = (0..4).map(|n| shares.of(host(n)).try_acquire().unwrap()).collect();
        assert!(shares.of(host(9)).try_acquire().is_err(), "of the same /48");
        let others = (2..42).map(|n| format!("2001:db8:{n}::1").parse().ok());
        let free = others.filter(|other| shares.of(*other).try_acquire().is_ok()).count();
        assert!(free > 30, "{free} of 40 other networks");
        drop(places);
        assert!(shares.of(host(9)).try_acquire().is_ok());
    }

    #[test]
    fn a_single_connection_is_shared_by_all() {
        assert!(Shares::new(1).of(None).try_acquire().is_ok());
    }
}
