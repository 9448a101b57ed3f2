//! What one client may do, counted in memory by each replica for itself.
//!
//! | limit | one client | the network around it | in |
//! |---|---|---|---|
//! | openings | `RATE_LIMIT_CODES` (60) | 4 times as many | a minute |
//! | confirmations | 5 times the openings, 12 of one login | 4 times as many | a minute |
//! | codes viewed or denied | 5 times the openings | 4 times as many | a minute |
//! | callbacks | 120 | 480 | a minute |
//! | polls with unknown codes | 120 | 480 | a minute |
//! | wrong user codes (counted in the database) | `RATE_LIMIT_GUESSES` (10) | 4 times as many | 15 minutes |
//! | held polls | an eighth of `MAX_HELD_POLLS` | a quarter | |
//! | connections without a proxy | an eighth of all | a quarter | |
//! | statements at work or in line | 64 | 128 | |
//! | requests to Postiz at work or in line | 16 | 32 | |
//!
//! A client is an IPv4 address or an IPv6 /64, the network around it a /24 or a /48. An unknown address counts as a network.
//! No secret depends on these limits alone, so replicas need not agree.
//!
//! Waiting in line beats refusing: of those that are refused, the fastest retry would win. So nothing is refused because of what
//! others do. Each network has a few statements at work and waits in a line of its own for more, and its client is only
//! refused if that line is full. How long to wait is the caller's choice.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::config::Config;
use crate::grant::{Networks, UserCode};
use crate::metrics::{Counters, Limit};

const NETWORK_FACTOR: u32 = 4;
/// People go back and press *Continue* again.
const CONFIRMATIONS_PER_OPENING: u32 = 5;
const CONFIRMATIONS_OF_ONE_LOGIN: u32 = 12;
const CALLBACKS: u32 = 120;
/// A terminal that meets an unknown code stops.
const UNKNOWN_POLLS: u32 = 120;
/// At work or in line, of one client. The network around it may have twice as many.
const STATEMENTS: usize = 64;
const POSTIZ_REQUESTS: usize = 16;
/// Requests to Postiz of one network that are at work.
const POSTIZ_REQUESTS_AT_WORK: usize = 4;
/// Of this replica: Postiz sees only our address. They are waited for. A login takes one, and Postiz about 10 ms for it.
const REGISTRATIONS_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// A Postiz that stalls holds no more requests than these.
const REGISTRATIONS_AT_A_TIME: usize = 32;
/// Clients that are counted apart, so that memory is bounded. Past that, new ones are counted in larger networks.
const MAX_COUNTED: usize = 50_000;
/// A line moves on in milliseconds.
const LINE_RETRY: Duration = Duration::from_secs(3);

pub struct Limits {
    openings: PerMinute,
    confirmations: PerMinute,
    confirmations_of_login: DefaultKeyedRateLimiter<UserCode>,
    views: PerMinute,
    callbacks: PerMinute,
    unknown_polls: PerMinute,
    /// At work, in line or open.
    permits: Permits,
    at_work: Permits,
    statements_at_work: usize,
    held_polls: Arc<Semaphore>,
    max_held_polls: usize,
    registrations: Semaphore,
    registrations_rate: DefaultDirectRateLimiter,
    met: Counters,
}

/// A client is over its limit until this time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimited {
    pub retry_after: Duration,
}

impl Limits {
    pub fn new(config: &Config) -> Self {
        let openings = config.rate_limit_codes;
        let confirmations_of_login = if openings == 0 { 0 } else { CONFIRMATIONS_OF_ONE_LOGIN };
        Self {
            openings: PerMinute::new(openings),
            confirmations: PerMinute::new(openings.saturating_mul(CONFIRMATIONS_PER_OPENING)),
            confirmations_of_login: RateLimiter::dashmap(per_minute(confirmations_of_login)),
            views: PerMinute::new(openings.saturating_mul(CONFIRMATIONS_PER_OPENING)),
            callbacks: PerMinute::new(CALLBACKS),
            unknown_polls: PerMinute::new(UNKNOWN_POLLS),
            permits: Permits::default(),
            at_work: Permits::default(),
            // One network leaves half of the connections to others.
            statements_at_work: (config.database_pool_size / 2).max(1),
            held_polls: Arc::new(Semaphore::new(config.max_held_polls)),
            max_held_polls: config.max_held_polls,
            registrations: Semaphore::new(REGISTRATIONS_AT_A_TIME),
            registrations_rate: RateLimiter::direct(Quota::per_second(REGISTRATIONS_PER_SECOND)),
            met: Counters::new::<Limit>("limit"),
        }
    }

    pub fn opening(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        self.noted(Limit::Openings, self.openings.count(client))
    }

    /// A login that is confirmed again and again uses up its own limit first, and not that of all behind its address.
    pub fn confirmation(&self, client: Option<IpAddr>, code: UserCode) -> Result<(), RateLimited> {
        let is_counted = self.confirmations_of_login.len() < MAX_COUNTED;
        let of_login = if is_counted { check(&self.confirmations_of_login, &code) } else { Ok(()) };
        self.noted(Limit::Confirmations, of_login.and_then(|()| self.confirmations.count(client)))
    }

    /// For a code that is looked up, right or wrong: a wrong one is written down.
    pub fn view(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        self.noted(Limit::Views, self.views.count(client))
    }

    pub fn callback(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        self.noted(Limit::Callbacks, self.callbacks.count(client))
    }

    /// For a poll whose device code is unknown.
    pub fn unknown_poll(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        self.noted(Limit::UnknownPolls, self.unknown_polls.count(client))
    }

    /// Waits in the client's line for a statement. The permit must not be kept across a wait for anything else.
    pub async fn statement(&self, client: Option<IpAddr>) -> Result<Permit, RateLimited> {
        self.in_line(Limit::Statements, client, STATEMENTS, self.statements_at_work).await
    }

    /// Waits in the client's line for requests to Postiz.
    pub async fn postiz_request(&self, client: Option<IpAddr>) -> Result<Permit, RateLimited> {
        self.in_line(Limit::PostizRequests, client, POSTIZ_REQUESTS, POSTIZ_REQUESTS_AT_WORK).await
    }

    /// For a connection of a direct peer, of the `total` that the server takes.
    pub fn connection(&self, peer: IpAddr, total: usize) -> Result<Permit, RateLimited> {
        self.permit(Limit::Connections, Networks::of(Some(peer)), total.div_ceil(8))
    }

    /// For a poll that waits for its grant's decision.
    pub fn held_poll(&self, client: Option<IpAddr>) -> Option<Permit> {
        let permit = self.free_hold(client);
        permit.map_err(|limit| self.met(limit)).ok()
    }

    /// Whether this client's next poll would be held.
    pub fn can_hold(&self, client: Option<IpAddr>) -> bool {
        self.free_hold(client).is_ok()
    }

    fn free_hold(&self, client: Option<IpAddr>) -> Result<Permit, Limit> {
        let limit = Limit::NetworkHeldPolls;
        let mut permit = self.free(limit, Networks::of(client), self.max_held_polls.div_ceil(8)).ok_or(limit)?;
        permit.0.push(Arc::clone(&self.held_polls).try_acquire_owned().map_err(|_| Limit::HeldPolls)?);
        Ok(permit)
    }

    /// Polls held now, and how many may be.
    pub fn held_polls(&self) -> (usize, usize) {
        (self.max_held_polls - self.held_polls.available_permits(), self.max_held_polls)
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

    pub fn metrics(&self) -> &Counters {
        &self.met
    }

    /// Frees the memory of clients that are under their limits again; to be called every few seconds.
    pub fn prune(&self) {
        for limit in [&self.openings, &self.confirmations, &self.views, &self.callbacks, &self.unknown_polls] {
            limit.clients.retain_recent();
            limit.networks.retain_recent();
        }
        self.confirmations_of_login.retain_recent();
        self.permits.prune();
        self.at_work.prune();
    }

    /// A line for each network: a few of its requests are at work, more of them wait in their order, and past a bound a client is
    /// refused.
    async fn in_line(
        &self,
        limit: Limit,
        client: Option<IpAddr>,
        most: usize,
        at_work: usize,
    ) -> Result<Permit, RateLimited> {
        let networks = Networks::of(client);
        let mut permit = self.permit(limit, networks, most)?;
        // The semaphore is never closed.
        permit.0.extend(self.at_work.of(limit, networks.network, at_work).acquire_owned().await);
        Ok(permit)
    }

    fn permit(&self, limit: Limit, networks: Networks, most: usize) -> Result<Permit, RateLimited> {
        let permit = self.free(limit, networks, most);
        self.noted(limit, permit.ok_or(RateLimited { retry_after: LINE_RETRY }))
    }

    fn free(&self, limit: Limit, Networks { client, network }: Networks, most: usize) -> Option<Permit> {
        let both = client.map(|client| (client, most)).into_iter().chain([(network, 2 * most)]);
        let permits = both.map(|(net, most)| self.permits.of(limit, net, most).try_acquire_owned().ok());
        permits.collect::<Option<_>>().map(Permit)
    }

    fn noted<T>(&self, limit: Limit, answer: Result<T, RateLimited>) -> Result<T, RateLimited> {
        if answer.is_err() {
            self.met(limit);
        }
        answer
    }
}

/// For each client, and for the network around it.
struct PerMinute {
    clients: DefaultKeyedRateLimiter<IpNet>,
    networks: DefaultKeyedRateLimiter<IpNet>,
}

impl PerMinute {
    fn new(most: u32) -> Self {
        let networks = per_minute(most.saturating_mul(NETWORK_FACTOR));
        Self { clients: RateLimiter::dashmap(per_minute(most)), networks: RateLimiter::dashmap(networks) }
    }

    fn count(&self, client: Option<IpAddr>) -> Result<(), RateLimited> {
        let Networks { client, network } = Networks::of(client);
        if let Some(client) = client.filter(|_| self.clients.len() < MAX_COUNTED) {
            check(&self.clients, &client)?;
        }
        let around = if self.networks.len() < MAX_COUNTED { network } else { wide(network) };
        check(&self.networks, &around)
    }
}

/// 0 sets no limit.
fn per_minute(most: u32) -> Quota {
    Quota::per_minute(NonZeroU32::new(most).unwrap_or(NonZeroU32::MAX))
}

/// A /16 of IPv4, a /32 of IPv6.
fn wide(network: IpNet) -> IpNet {
    let length = if network.addr().is_ipv4() { 16 } else { 32 };
    IpNet::new(network.addr(), length).map_or(network, |wide| wide.trunc())
}

fn check<K: Clone + Eq + Hash>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), RateLimited> {
    let now = DefaultClock::default().now();
    limiter.check_key(key).map_err(|over| RateLimited { retry_after: over.wait_time_from(now) })
}

/// For `Retry-After`: rounded up, so that no client comes back too early.
pub fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// Given back when it is dropped.
#[derive(Debug, Default)]
pub struct Permit(Vec<OwnedSemaphorePermit>);

/// For each limit, the permits of each client or network that has some.
#[derive(Default)]
struct Permits(Mutex<HashMap<(Limit, IpNet), Arc<Semaphore>>>);

impl Permits {
    fn of(&self, limit: Limit, net: IpNet, most: usize) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry((limit, net)).or_insert_with(|| Arc::new(Semaphore::new(most))))
    }

    /// A permit, and a caller that waits for one, hold the semaphore.
    fn prune(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

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
            let limit = PerMinute::new(10);
            let passed = |client: &str| (0..20).filter(|_| limit.count(address(client)).is_ok()).count();
            assert_eq!(passed(&others(1)), 10);
            let network: usize = (2..12).map(|n| passed(&others(n))).sum();
            assert_eq!(network, 30, "40 for the network, with those of the first client");
            assert_eq!(passed(stranger), 10);
        }
    }

    #[test]
    fn unknown_addresses_count_as_a_network() {
        let limit = PerMinute::new(10);
        assert_eq!((0..60).filter(|_| limit.count(None).is_ok()).count(), 40);
        assert!(limit.count(address("192.0.2.1")).is_ok());
    }

    #[test]
    fn zero_sets_no_limit() {
        let limit = PerMinute::new(0);
        assert!((0..10_000).all(|_| limit.count(address("192.0.2.1")).is_ok()));
    }

    #[test]
    fn a_wait_is_rounded_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
        assert_eq!(whole_seconds(Duration::ZERO), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let limit = PerMinute::new(1);
        for n in 0..200_000_u32 {
            let _ = limit.count(Some(IpAddr::from(n.to_be_bytes())));
        }
        assert!(limit.clients.len() <= MAX_COUNTED && limit.networks.len() <= MAX_COUNTED + 4);
    }

    fn limits() -> Limits {
        Limits::new(&Config::from_vars([("DATABASE_URL".into(), "postgres://u@h/d".into())]).unwrap())
    }

    fn is_empty(limits: &Limits) -> bool {
        limits.prune();
        limits.permits.0.lock().unwrap().is_empty() && limits.at_work.0.lock().unwrap().is_empty()
    }

    #[tokio::test]
    async fn a_network_waits_for_itself_and_for_no_other() {
        let limits = limits();
        let enter = |text| limits.in_line(Limit::Statements, address(text), 3, 2);
        let first = enter("2001:db8:1:1::1").await.unwrap();
        let _second = enter("2001:db8:1:2::1").await.unwrap();
        let mut third = Box::pin(enter("2001:db8:1:3::1"));
        assert!((&mut third).now_or_never().is_none(), "of the same /48");
        assert!(enter("2001:db8:2::1").now_or_never().is_some(), "of another one");
        drop(first);
        assert!(third.now_or_never().unwrap().is_ok(), "the place is free");
    }

    #[tokio::test]
    async fn a_full_line_refuses_its_client_and_then_its_network() {
        let limits = limits();
        let most = 2;
        let enter = |text| limits.in_line(Limit::Statements, address(text), most, 9).now_or_never().unwrap();
        let permits = [enter("192.0.2.1").unwrap(), enter("192.0.2.1").unwrap()];
        assert!(enter("192.0.2.1").is_err());
        let neighbours = [enter("192.0.2.2").unwrap(), enter("192.0.2.3").unwrap()];
        assert!(enter("192.0.2.4").is_err());
        assert!(enter("198.51.100.1").is_ok());
        drop((permits, neighbours));
        assert!(is_empty(&limits));
    }

    #[tokio::test]
    async fn a_caller_that_stops_waiting_leaves_the_line() {
        let limits = limits();
        let enter = |text| limits.in_line(Limit::Statements, address(text), 9, 1);
        let permit = enter("").await.unwrap();
        let mut waiting = Box::pin(enter(""));
        assert!((&mut waiting).now_or_never().is_none());
        drop(waiting);
        drop(permit);
        assert!(is_empty(&limits));
    }

    #[test]
    fn a_direct_peer_keeps_an_eighth_of_the_connections() {
        let limits = limits();
        let connect = |peer: &str| limits.connection(peer.parse().unwrap(), 16);
        let open: Vec<_> = (0..2).map(|_| connect("198.51.100.1").unwrap()).collect();
        assert!(connect("198.51.100.1").is_err() && connect("198.51.100.2").is_ok());
        drop(open);
        assert!(is_empty(&limits));
    }

    #[test]
    fn held_polls_have_limits_for_all_for_a_network_and_for_a_client() {
        let vars = [("DATABASE_URL", "postgres://u@h/d"), ("MAX_HELD_POLLS", "16")];
        let limits = Limits::new(&Config::from_vars(vars.map(|(name, value)| (name.into(), value.into()))).unwrap());
        let hold = |text: &str| limits.held_poll(address(text));
        let mut permits: Vec<_> = (0..2).map(|_| hold("192.0.2.1").unwrap()).collect();
        assert!(hold("192.0.2.1").is_none(), "an eighth for a client");
        permits.extend((2..4).map(|n| hold(&format!("192.0.2.{n}")).unwrap()));
        assert!(hold("192.0.2.9").is_none(), "a quarter for a network");
        permits.extend((0..12).map(|n| hold(&format!("198.51.{n}.1")).unwrap()));
        assert!(hold("203.0.113.1").is_none() && limits.held_polls() == (16, 16));
        drop(permits);
        assert!(hold("203.0.113.1").is_some() && limits.held_polls() == (0, 16) && is_empty(&limits));
    }
}
