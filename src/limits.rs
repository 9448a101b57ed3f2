//! What one client may do in a minute, or a few, counted in memory by each replica for itself.
//!
//! These limits stop floods. No secret depends on them alone, so replicas need not agree. Wrong user codes are counted in
//! the database, for all replicas together.

mod refusals;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;

use crate::grant::{network, or_unspecified, surroundings};
use refusals::Refusals;

/// Polls with a device code that was never issued, or is long gone. A terminal that meets one stops.
const UNKNOWN_POLLS: NonZeroU32 = NonZeroU32::new(120).unwrap();
/// For each login that a client may open: people go back and press *Continue* again.
const CONFIRMATIONS: u32 = 2;
/// Networks that are counted apart. Past that, larger networks share a count, so that memory is bounded.
const MAX_CLIENTS: usize = 50_000;

#[derive(Debug)]
pub struct Limits {
    openings: Option<PerMinute>,
    confirmations: Option<PerMinute>,
    unknown_polls: PerMinute,
    refusals: Refusals,
}

#[derive(Debug)]
struct PerMinute {
    limiter: DefaultKeyedRateLimiter<IpNet>,
    clock: DefaultClock,
}

/// A client is over its limit until this time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimited {
    pub retry_after: Duration,
}

/// For `Retry-After`: rounded up, so that no client comes back too early.
pub fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl Limits {
    /// `openings`: logins that a client may open in a minute; 0 sets no limit.
    pub fn new(openings: u32) -> Self {
        Self {
            openings: NonZeroU32::new(openings).map(PerMinute::new),
            confirmations: NonZeroU32::new(openings.saturating_mul(CONFIRMATIONS)).map(PerMinute::new),
            unknown_polls: PerMinute::new(UNKNOWN_POLLS),
            refusals: Refusals::default(),
        }
    }

    pub fn opening(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        self.openings.as_ref().map_or(Ok(()), |limit| limit.count(client))
    }

    /// Before a confirmation that asks Postiz about a client.
    pub fn confirmation(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        self.confirmations.as_ref().map_or(Ok(()), |limit| limit.count(client))
    }

    /// For a poll whose device code is unknown.
    pub fn unknown_poll(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        self.unknown_polls.count(client)
    }

    /// Before a code is exchanged: refused if too many of this client's codes were. Counts nothing.
    pub fn exchange(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        self.refusals.wait(or_unspecified(client)).map_or(Ok(()), |retry_after| Err(RateLimited { retry_after }))
    }

    /// Postiz refused a code that this client brought.
    pub fn exchange_refused(&self, client: Option<IpAddr>) {
        self.refusals.count(or_unspecified(client));
    }

    /// Before an exchange whose token nobody gets. It counts as a refused one.
    pub fn wasted_exchange(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        self.refusals.try_count(or_unspecified(client)).map_err(|retry_after| RateLimited { retry_after })
    }

    /// Frees the memory of clients that are under their limits again; to be called every few seconds.
    pub fn prune(&self) {
        for limit in self.openings.iter().chain(&self.confirmations).chain([&self.unknown_polls]) {
            limit.limiter.retain_recent();
            limit.limiter.shrink_to_fit();
        }
        self.refusals.prune();
    }
}

impl PerMinute {
    fn new(most: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::dashmap(Quota::per_minute(most)), clock: DefaultClock::default() }
    }

    fn count(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        let client = or_unspecified(client);
        let crowded = self.limiter.len() >= MAX_CLIENTS;
        let key = if crowded { surroundings(client) } else { network(client) };
        self.limiter.check_key(&key).map_err(|over| RateLimited { retry_after: over.wait_time_from(self.clock.now()) })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_may_start_a_minutes_logins_at_once_and_then_gets_a_retry_time() {
        let limits = Limits::new(60);
        let office = Some(address("192.0.2.1"));
        for _ in 0..60 {
            assert_eq!(limits.opening(office), Ok(()));
        }
        let Err(RateLimited { retry_after }) = limits.opening(office) else { panic!("not rate-limited") };
        assert!(!retry_after.is_zero() && retry_after <= Duration::from_secs(1), "{retry_after:?}");
        assert_eq!(limits.opening(Some(address("192.0.2.2"))), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_line_are_one_client() {
        let limits = Limits::new(2);
        assert_eq!(limits.opening(Some(address("2001:db8:1:2::1"))), Ok(()));
        assert_eq!(limits.opening(Some(address("2001:db8:1:2::2"))), Ok(()));
        assert!(limits.opening(Some(address("2001:db8:1:2::3"))).is_err());
        assert_eq!(limits.opening(Some(address("2001:db8:1:3::1"))), Ok(()));
    }

    #[test]
    fn zero_sets_no_limit() {
        let limits = Limits::new(0);
        assert!((0..10_000).all(|_| limits.opening(Some(address("192.0.2.1"))).is_ok()));
    }

    #[test]
    fn memory_is_bounded_however_many_networks_come() {
        let limits = Limits::new(60);
        for net in 0..200_000_u32 {
            let v6 = Ipv6Addr::from((0x2001_0db8_u128 << 96) | (u128::from(net) << 64));
            let _ = limits.opening(Some(v6.into()));
            let _ = limits.opening(Some(Ipv4Addr::from(net).into()));
        }
        let kept = limits.openings.as_ref().unwrap().limiter.len();
        assert!(kept < MAX_CLIENTS + 5_000, "{kept}");
    }
}
