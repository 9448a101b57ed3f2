//! What one client may do, counted in memory by each replica for itself.
//!
//! | limit | one client | the network around it | in |
//! |---|---|---|---|
//! | openings | `RATE_LIMIT_CODES` (60) | 4 times as many | a minute |
//! | confirmations | 5 times the openings, 12 of one login | 4 times as many | a minute |
//! | callbacks | 120 | 480 | a minute |
//! | polls with unknown codes | 120 | 480 | a minute |
//! | wrong user codes (counted in the database) | `RATE_LIMIT_GUESSES` (10) | 4 times as many | 15 minutes |
//! | held polls | an eighth of `MAX_HELD_POLLS` | a quarter | |
//! | statements at work or in line | 64 | 128 | |
//! | requests to Postiz at work or in line | 16 | 32 | |
//!
//! A client is an IPv4 address or an IPv6 /64, the network around it a /24 or a /48. An unknown address counts as a network.
//! No secret depends on these limits alone, so replicas need not agree.
//!
//! Waiting in line beats refusing: of those that are refused, the fastest retry would win. So nothing is refused because of what
//! others do. Each network has a few statements at work and waits in a line of its own for more, and its client is only
//! refused if that line is full.

mod lines;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::Config;
use crate::grant::{Origin, UserCode};
use crate::metrics::{Counters, Limit};

pub use lines::{Lines, Place, RateLimited};

const NETWORK_FACTOR: u32 = 4;
/// People go back and press *Continue* again.
const CONFIRMATIONS_PER_OPENING: u32 = 5;
const CONFIRMATIONS_OF_ONE_LOGIN: NonZeroU32 = NonZeroU32::new(12).unwrap();
const CALLBACKS: u32 = 120;
/// A terminal that meets an unknown code stops.
const UNKNOWN_POLLS: u32 = 120;
const STATEMENTS: (usize, usize) = (64, 128);
const POSTIZ_REQUESTS: (usize, usize) = (16, 32);
/// Requests to Postiz of one network that are at work.
const POSTIZ_REQUESTS_AT_WORK: usize = 4;
/// Of this replica: Postiz sees only our address. They are waited for. A login takes one, and Postiz about 10 ms for it.
const REGISTRATIONS_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// A Postiz that stalls holds no more requests than these.
const REGISTRATIONS_AT_A_TIME: usize = 32;
/// Clients that are counted apart, so that memory is bounded. Past that, new ones are counted in larger networks.
const MAX_COUNTED: usize = 50_000;

#[derive(Debug)]
pub struct Limits {
    openings: Option<PerMinute>,
    confirmations: Option<PerMinute>,
    confirmations_of_login: DefaultKeyedRateLimiter<UserCode>,
    callbacks: PerMinute,
    unknown_polls: PerMinute,
    statements: Lines,
    postiz_requests: Lines,
    registrations: Semaphore,
    registrations_rate: DefaultDirectRateLimiter,
    met: Counters<Limit>,
}

impl Limits {
    pub fn new(config: &Config) -> Self {
        let openings = config.rate_limit_codes;
        // One network leaves half of the connections to others.
        let statements_at_work = (config.database_pool_size / 2).max(1);
        Self {
            openings: PerMinute::new(openings),
            confirmations: PerMinute::new(openings.saturating_mul(CONFIRMATIONS_PER_OPENING)),
            confirmations_of_login: RateLimiter::dashmap(Quota::per_minute(CONFIRMATIONS_OF_ONE_LOGIN)),
            callbacks: PerMinute::of(CALLBACKS),
            unknown_polls: PerMinute::of(UNKNOWN_POLLS),
            statements: Lines::new(statements_at_work, STATEMENTS),
            postiz_requests: Lines::new(POSTIZ_REQUESTS_AT_WORK, POSTIZ_REQUESTS),
            registrations: Semaphore::new(REGISTRATIONS_AT_A_TIME),
            registrations_rate: RateLimiter::direct(Quota::per_second(REGISTRATIONS_PER_SECOND)),
            met: Counters::new("limit"),
        }
    }

    pub fn opening(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        self.openings.as_ref().map_or(Ok(()), |limit| self.noted(Limit::Openings, limit.count(client)))
    }

    /// A login that is confirmed again and again uses up its own limit first, and not that of all behind its address.
    pub fn confirmation(&self, client: Option<IpAddr>, code: UserCode) -> Result<(), RateLimited> {
        let Some(limit) = &self.confirmations else { return Ok(()) };
        let is_counted = self.confirmations_of_login.len() < MAX_COUNTED;
        let of_login = if is_counted { check(&self.confirmations_of_login, &code) } else { Ok(()) };
        self.noted(Limit::Confirmations, of_login.and_then(|()| limit.count(client)))
    }

    pub fn callback(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        self.noted(Limit::Callbacks, self.callbacks.count(client))
    }

    /// For a poll whose device code is unknown.
    pub fn unknown_poll(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        self.noted(Limit::UnknownPolls, self.unknown_polls.count(client))
    }

    /// Waits in the client's line for a statement. The place must not be kept across a wait for anything else.
    pub async fn statement(&self, client: Option<IpAddr>) -> Result<Place<'_>, RateLimited> {
        let place = self.statements.enter(client).await;
        self.noted(Limit::Statements, place)
    }

    /// Waits in the client's line for requests to Postiz.
    pub async fn postiz_request(&self, client: Option<IpAddr>) -> Result<Place<'_>, RateLimited> {
        let place = self.postiz_requests.enter(client).await;
        self.noted(Limit::PostizRequests, place)
    }

    /// Waits for the replica's turn to register a client at Postiz. Each network has few requests in this line, so it is
    /// fair by network.
    pub async fn registration(&self) -> Option<SemaphorePermit<'_>> {
        let permit = self.registrations.acquire().await.ok();
        self.registrations_rate.until_ready().await;
        permit
    }

    /// Counts a limit that was met elsewhere.
    pub fn met(&self, limit: Limit) {
        self.met.count(limit);
    }

    pub fn metrics(&self) -> &Counters<Limit> {
        &self.met
    }

    /// Frees the memory of clients that are under their limits again; to be called every few seconds.
    pub fn prune(&self) {
        let optional = self.openings.iter().chain(&self.confirmations);
        for limit in optional.chain([&self.callbacks, &self.unknown_polls]) {
            limit.clients.retain_recent();
            limit.networks.retain_recent();
        }
        self.confirmations_of_login.retain_recent();
    }

    fn noted<T>(&self, limit: Limit, answer: Result<T, RateLimited>) -> Result<T, RateLimited> {
        if answer.is_err() {
            self.met(limit);
        }
        answer
    }
}

/// For each client, and for the network around it.
#[derive(Debug)]
struct PerMinute {
    clients: DefaultKeyedRateLimiter<IpNet>,
    networks: DefaultKeyedRateLimiter<IpNet>,
}

impl PerMinute {
    /// 0 sets no limit.
    fn new(most: u32) -> Option<Self> {
        (most > 0).then(|| Self::of(most))
    }

    fn of(most: u32) -> Self {
        let quota = |most| Quota::per_minute(NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN));
        let network = most.saturating_mul(NETWORK_FACTOR);
        Self { clients: RateLimiter::dashmap(quota(most)), networks: RateLimiter::dashmap(quota(network)) }
    }

    fn count(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        let Origin { client, network } = Origin::of(client);
        if let Some(client) = client.filter(|_| self.clients.len() < MAX_COUNTED) {
            check(&self.clients, &client)?;
        }
        let around = if self.networks.len() < MAX_COUNTED { network } else { wide(network) };
        check(&self.networks, &around)
    }
}

/// A /16 of IPv4, a /32 of IPv6.
fn wide(network: IpNet) -> IpNet {
    let length = if network.addr().is_ipv4() { 16 } else { 32 };
    IpNet::new(network.addr(), length).map_or(network, |wide| wide.trunc())
}

fn check<K: Clone + Eq + std::hash::Hash>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), RateLimited> {
    let now = DefaultClock::default().now();
    limiter.check_key(key).map_err(|over| RateLimited { retry_after: over.wait_time_from(now) })
}

/// For `Retry-After`: rounded up, so that no client comes back too early.
pub fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[test]
    fn a_client_and_the_network_around_it_have_limits() {
        for (others, stranger) in [
            ((|n| format!("192.0.2.{n}")) as fn(u32) -> String, "198.51.100.1"),
            (|n| format!("2001:db8:1:{n:x}::1"), "2001:db8:2::1"),
        ] {
            let limit = PerMinute::of(10);
            let passed = |client: &str| (0..20).filter(|_| limit.count(address(client)).is_ok()).count();
            assert_eq!(passed(&others(1)), 10);
            let network: usize = (2..12).map(|n| passed(&others(n))).sum();
            assert_eq!(network, 30, "40 for the network, with those of the first client");
            assert_eq!(passed(stranger), 10);
        }
    }

    #[test]
    fn unknown_addresses_count_as_a_network() {
        let limit = PerMinute::of(10);
        assert_eq!((0..60).filter(|_| limit.count(None).is_ok()).count(), 40);
        assert!(limit.count(address("192.0.2.1")).is_ok());
    }

    #[test]
    fn zero_sets_no_limit() {
        assert!(PerMinute::new(0).is_none());
    }

    #[test]
    fn a_wait_is_rounded_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
        assert_eq!(whole_seconds(Duration::ZERO), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let limit = PerMinute::of(1);
        for n in 0..200_000_u32 {
            let _ = limit.count(Some(IpAddr::from(n.to_be_bytes())));
        }
        assert!(limit.clients.len() <= MAX_COUNTED && limit.networks.len() <= MAX_COUNTED + 4);
    }
}
