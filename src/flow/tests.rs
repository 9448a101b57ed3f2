use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::Usage;
use super::entry::Arriving;
use super::held_poll::HeldPoll;
use super::registry::{FEED_CURRENT, NEXT_POLL_WITHIN, Registry};
use crate::capacity::Capacity;
use crate::grant::{Decision, DeviceCode, GrantId};

const TTL: Duration = Duration::from_mins(15);

const CAPACITY: Capacity = Capacity { held_polls: 1_000, held_bytes: 100_000_000, grants: 4_000, connections: 2_000 };

fn registry() -> Arc<Registry> {
    Arc::new(Registry::new(CAPACITY))
}

fn grant() -> GrantId {
    DeviceCode::random().grant_id()
}

const PLAIN: Arriving = Arriving { hold: false, interval: None, client: None, request_bytes: 500 };
/// A poll that has to keep an interval.
const PACED: Arriving = Arriving { interval: Some(Duration::from_secs(4)), ..PLAIN };

fn held(registry: &Arc<Registry>, grant: GrantId) -> HeldPoll {
    HeldPoll::enter(registry, grant, &Arriving { hold: true, ..PLAIN })
}

fn plain(registry: &Arc<Registry>, grant: GrantId) -> HeldPoll {
    HeldPoll::enter(registry, grant, &PLAIN)
}

/// A poll that looked its grant up and was answered "pending".
fn pending_poll(registry: &Arc<Registry>, grant: GrantId, remaining: Duration) {
    let poll = plain(registry, grant);
    poll.found_pending(remaining, None);
    poll.keep();
}

#[tokio::test]
async fn a_decision_wakes_the_held_polls_of_its_grant_and_no_other() {
    let registry = registry();
    let (mine, other) = (grant(), grant());
    let (mut one, mut two) = (held(&registry, mine), held(&registry, mine));
    let bystander = held(&registry, other);
    drop(registry.wake(mine, Decision::Denied));
    assert_eq!(one.decision().await, Decision::Denied);
    assert_eq!(two.decision().await, Decision::Denied);
    drop((one, two));
    assert_eq!(registry.held().polls, 1);
    drop(bystander);
    assert_eq!(registry.held(), Usage::default());
    assert!(registry.is_empty());
}

#[tokio::test]
async fn a_disconnected_client_leaves_nothing_behind() {
    let registry = registry();
    drop(held(&registry, grant()));
    assert_eq!(registry.held(), Usage::default());
    assert!(registry.is_empty());
}

#[test]
fn one_grant_cannot_hold_many_polls() {
    let registry = registry();
    let grant = grant();
    let polls: Vec<_> = (0..4).map(|_| held(&registry, grant)).collect();
    assert!(polls.iter().all(HeldPoll::is_held));
    assert!(!held(&registry, grant).is_held());
    drop(polls);
    assert!(held(&registry, grant).is_held());
}

#[tokio::test]
async fn a_decision_learns_whether_a_woken_poll_delivered_the_token() {
    let registry = registry();
    let grant = grant();
    assert!(!registry.wake(grant, Decision::Approved).delivered().await, "no poll was held");
    let mut poll = held(&registry, grant);
    let mut woken = registry.wake(grant, Decision::Approved);
    poll.decision().await;
    poll.has_delivered();
    assert!(woken.delivered().await);
    let mut poll = held(&registry, grant);
    let mut woken = registry.wake(grant, Decision::Approved);
    poll.decision().await;
    drop(poll);
    assert!(!woken.delivered().await, "its client disconnected");
}

#[test]
fn an_early_poll_is_known_from_memory_once_the_database_has_noted_one() {
    let registry = registry();
    let grant = grant();
    let early = || {
        let poll = HeldPoll::enter(&registry, grant, &PACED);
        let early = poll.is_early();
        poll.keep();
        early
    };
    registry.feed_read(Instant::now());
    assert!(!early(), "the first poll");
    pending_poll(&registry, grant, TTL);
    assert!(!early(), "only polls without an interval were looked up");
    let noted = HeldPoll::enter(&registry, grant, &PACED);
    noted.found_pending(TTL, Some(Instant::now()));
    noted.keep();
    assert!(early() && early());
    registry.age(Duration::from_secs(4));
    registry.feed_read(Instant::now());
    assert!(!early(), "the interval is over, however often the client has polled meanwhile");
}

#[test]
fn a_poll_is_early_only_while_its_grant_is_known_to_be_pending() {
    let registry = registry();
    let grant = grant();
    let noted = HeldPoll::enter(&registry, grant, &PACED);
    noted.found_pending(TTL, Some(Instant::now()));
    noted.keep();
    assert!(!HeldPoll::enter(&registry, grant, &PACED).is_early(), "the feed was not read");
    registry.feed_read(Instant::now());
    drop(registry.wake(grant, Decision::Approved));
    assert!(!HeldPoll::enter(&registry, grant, &PACED).is_early(), "it is decided");
}

#[test]
fn a_pending_grant_is_cached_while_the_feed_is_current() {
    let registry = registry();
    let grant = grant();
    registry.feed_read(Instant::now());
    assert_eq!(plain(&registry, grant).pending(), None, "it was not looked up");
    pending_poll(&registry, grant, TTL);
    let poll = plain(&registry, grant);
    assert!(poll.pending().is_some_and(|remaining| remaining <= TTL));
    drop(poll);
    assert_eq!(plain(&registry, grant).pending(), None, "its client disconnected");
}

#[test]
fn the_cache_expires() {
    let registry = registry();
    let grant = grant();
    let cached = || {
        let poll = plain(&registry, grant);
        let pending = poll.pending();
        poll.keep();
        pending
    };
    let read_after = |seconds| {
        registry.age(Duration::from_secs(seconds));
        registry.feed_read(Instant::now());
    };
    read_after(0);
    pending_poll(&registry, grant, TTL);
    registry.age(FEED_CURRENT);
    assert_eq!(cached(), None, "the feed is not current");
    read_after(0);
    assert!(cached().is_some(), "the feed is current again and has brought nothing");
    for _ in 0..8 {
        read_after(7);
        assert!(cached().is_some());
    }
    read_after(7);
    assert_eq!(cached(), None, "a minute has passed");
    pending_poll(&registry, grant, Duration::from_secs(3));
    read_after(3);
    assert_eq!(cached(), None, "the grant may have expired");
}

#[test]
fn an_older_look_up_does_not_hide_a_decision() {
    let registry = registry();
    let grant = grant();
    registry.feed_read(Instant::now());
    pending_poll(&registry, grant, TTL);
    drop(registry.wake(grant, Decision::Approved));
    assert_eq!(plain(&registry, grant).pending(), None);
    // The look-up of one poll is under way while the grant is decided and the next poll arrives.
    let slow = plain(&registry, grant);
    drop(registry.wake(grant, Decision::Approved));
    let next = plain(&registry, grant);
    slow.found_pending(TTL, None);
    slow.keep();
    next.keep();
    assert_eq!(plain(&registry, grant).pending(), None);
}

#[test]
fn a_terminal_that_stops_polling_is_forgotten() {
    let registry = registry();
    pending_poll(&registry, grant(), TTL);
    registry.feed_read(Instant::now());
    assert!(!registry.is_empty());
    registry.age(NEXT_POLL_WITHIN);
    registry.tidy(Instant::now());
    assert!(registry.is_empty());
}

#[test]
fn a_waiting_grant_is_looked_up_again_before_its_next_poll_would_have_to() {
    let registry = registry();
    let grant = grant();
    let poll = held(&registry, grant);
    let aged = || registry.tidy(Instant::now());
    poll.found_pending(TTL, None);
    registry.age(Duration::from_secs(44));
    assert!(aged().is_empty());
    registry.age(Duration::from_secs(1));
    let due = aged();
    assert_eq!(due.keys().collect::<Vec<_>>(), [&grant]);
    assert_eq!(aged(), due, "it was not looked up");
    registry.found_pending(grant, due[&grant], TTL, None);
    assert!(aged().is_empty());
    registry.age(Duration::from_secs(30));
    registry.feed_read(Instant::now());
    assert!(plain(&registry, grant).pending().is_some(), "75 s after its poll's own look-up");
    // Decided while it is looked up again.
    registry.age(Duration::from_secs(15));
    let due = aged();
    drop(registry.wake(grant, Decision::Approved));
    pending_poll(&registry, grant, TTL);
    registry.found_pending(grant, due[&grant], Duration::ZERO, None);
    registry.feed_read(Instant::now());
    assert!(plain(&registry, grant).pending().is_some_and(|remaining| !remaining.is_zero()), "it is of another entry");
}

#[test]
fn a_decision_is_near_while_the_person_of_a_grant_here_is_at_postiz() {
    let registry = registry();
    let (here, elsewhere) = (grant(), grant());
    let poll = held(&registry, here);
    let now = Instant::now();
    registry.confirmed(elsewhere, now);
    assert!(!registry.feed_read(now), "its poll is held at another replica");
    registry.confirmed(here, now);
    registry.confirmed(here, now + Duration::from_secs(50));
    assert!(registry.feed_read(now + Duration::from_secs(59)));
    assert!(!registry.feed_read(now + Duration::from_mins(1)), "the person takes long");
    registry.wake(here, Decision::Approved);
    assert!(!registry.feed_read(now), "it is decided");
    drop(poll);
}

#[test]
fn a_confirmed_grant_is_forgotten_with_its_terminal() {
    let registry = registry();
    let (poll, now) = (held(&registry, grant()), Instant::now());
    registry.confirmed(poll.grant(), now);
    drop(poll);
    registry.tidy(now);
    assert!(!registry.feed_read(now));
}

#[test]
fn grants_past_the_bound_are_looked_up_each_time() {
    let registry = registry();
    let grants: Vec<_> = (0..=CAPACITY.grants).map(|_| grant()).collect();
    let polls: Vec<_> = grants[..CAPACITY.grants].iter().map(|grant| plain(&registry, *grant)).collect();
    let poll = held(&registry, grants[CAPACITY.grants]);
    poll.found_pending(TTL, None);
    assert!(!poll.is_held());
    poll.keep();
    drop(polls);
    assert!(registry.is_empty());
}
