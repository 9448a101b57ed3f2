//! How many polls are held, and the memory that they take: for the replica, and for each network.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::capacity::{Capacity, HELD_POLL_BYTES};
use crate::grant::{network, or_unspecified};
use crate::metrics::Limit;

/// The request's bytes count twice: for the headers that are kept, and for the connection's buffer, which grew with them.
const KEPT_COPIES: usize = 2;
/// The part of both limits that one network may have, which may be a whole company or the customers of a carrier.
const NETWORK_SHARE: usize = 4;

#[derive(Debug)]
pub(super) struct Budget {
    most: Usage,
    used: Usage,
    /// Only those with held polls.
    networks: HashMap<IpNet, Usage>,
}

/// Held polls, and the bytes that they are accounted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub polls: usize,
    pub bytes: usize,
}

/// What one held poll takes of the budget, to be given back when it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    network: IpNet,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(capacity: Capacity) -> Self {
        let most = Usage { polls: capacity.held_polls, bytes: capacity.held_bytes };
        Self { most, used: Usage::default(), networks: HashMap::new() }
    }

    /// Takes a place, or returns the limit that leaves none. `request_bytes` is the size of the poll's request.
    pub(super) fn take(&mut self, client: Option<IpAddr>, request_bytes: usize) -> Result<Place, Limit> {
        let place =
            Place { network: network(or_unspecified(client)), bytes: HELD_POLL_BYTES + KEPT_COPIES * request_bytes };
        if !self.used.has_room(place.bytes, self.most) {
            return Err(Limit::HeldPolls);
        }
        let mut own = self.networks.get(&place.network).copied().unwrap_or_default();
        if !own.has_room(place.bytes, self.most.share()) {
            return Err(Limit::NetworkHeldPolls);
        }
        own.add(place.bytes);
        self.networks.insert(place.network, own);
        self.used.add(place.bytes);
        Ok(place)
    }

    pub(super) fn give_back(&mut self, place: Place) {
        self.used.subtract(place.bytes);
        if let Some(own) = self.networks.get_mut(&place.network) {
            own.subtract(place.bytes);
            if own.polls == 0 {
                self.networks.remove(&place.network);
            }
        }
    }

    /// Whether this client's next polls will probably be held: three quarters of its limits are not used.
    pub(super) fn has_room(&self, client: Option<IpAddr>) -> bool {
        let own = self.networks.get(&network(or_unspecified(client))).copied().unwrap_or_default();
        self.used.is_below_three_quarters(self.most) && own.is_below_three_quarters(self.most.share())
    }

    pub(super) fn used(&self) -> Usage {
        self.used
    }
}

impl Usage {
    fn has_room(self, bytes: usize, most: Self) -> bool {
        self.polls < most.polls && self.bytes + bytes <= most.bytes
    }

    fn is_below_three_quarters(self, most: Self) -> bool {
        self.polls * 4 < most.polls * 3 && self.bytes * 4 < most.bytes * 3
    }

    /// What one network may have of these limits.
    fn share(self) -> Self {
        Self { polls: self.polls.div_ceil(NETWORK_SHARE), bytes: self.bytes / NETWORK_SHARE }
    }

    fn add(&mut self, bytes: usize) {
        self.polls += 1;
        self.bytes += bytes;
    }

    fn subtract(&mut self, bytes: usize) {
        self.polls -= 1;
        self.bytes -= bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD_BYTES: usize = 200_000_000;

    #[expect(clippy::unnecessary_wraps, reason = "a request may have no address")]
    fn address(client: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, client]))
    }

    fn budget(held_polls: usize) -> Budget {
        Budget::new(Capacity { held_polls, held_bytes: HELD_BYTES, grants: 0, connections: 0 })
    }

    #[test]
    fn polls_are_held_up_to_the_capacity() {
        let mut budget = budget(12);
        let places: Vec<_> = (0..12).map(|n| budget.take(address(n), 500).unwrap()).collect();
        assert_eq!(budget.take(address(12), 500).unwrap_err(), Limit::HeldPolls);
        assert!(!budget.has_room(address(12)));
        for place in places {
            budget.give_back(place);
        }
        assert!(budget.has_room(address(12)) && budget.take(address(12), 500).is_ok());
    }

    #[test]
    fn one_network_holds_a_quarter_of_the_polls_at_most() {
        let mut budget = budget(12);
        for _ in 0..3 {
            budget.take(address(1), 500).unwrap();
        }
        assert_eq!(budget.take(address(1), 500).unwrap_err(), Limit::NetworkHeldPolls);
        assert!(!budget.has_room(address(1)) && budget.has_room(address(2)));
        assert!(budget.take(address(2), 500).is_ok());
    }

    #[test]
    fn large_requests_use_up_a_networks_bytes_before_its_polls() {
        let mut budget = budget(usize::MAX / 4);
        let mut held = 0;
        while budget.take(address(1), 12_000).is_ok() {
            held += 1;
        }
        assert_eq!(held, HELD_BYTES / 4 / (HELD_POLL_BYTES + 24_000));
        assert!(budget.take(address(2), 12_000).is_ok());
    }

    #[test]
    fn a_budget_is_empty_after_all_places_are_given_back() {
        let mut budget = budget(1_000);
        let places: Vec<_> = (0..100).map(|n| budget.take(address(n % 7), usize::from(n)).unwrap()).collect();
        assert_eq!(budget.used().polls, 100);
        for place in places {
            budget.give_back(place);
        }
        assert_eq!(budget.used(), Usage::default());
        assert!(budget.networks.is_empty());
    }
}
