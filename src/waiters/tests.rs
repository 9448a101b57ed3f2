use super::*;
use crate::grant::DeviceCode;

fn waiters(sockets: u64) -> Arc<Waiters> {
    Arc::new(Waiters::new(sockets))
}

fn grant() -> GrantId {
    DeviceCode::random().grant_id()
}

/// A poll that looked its login up, was told to go on, and has gone.
fn undecided_poll(waiters: &Arc<Waiters>, grant: GrantId, remaining: Duration) {
    let poll = waiters.arrive(grant, false);
    poll.found_undecided(remaining);
    poll.comes_again();
}

const LIFE: Duration = Duration::from_mins(15);

/// Lets time go by: whatever was noted is older afterwards.
fn pass(waiters: &Waiters, time: Duration) {
    let mut waiting = waiters.lock();
    let older = |instant: &mut Instant| *instant -= time;
    waiting.fed_at.iter_mut().for_each(older);
    waiting.tidied_at.iter_mut().for_each(older);
    for login in waiting.logins.values_mut() {
        login.stays_until.iter_mut().for_each(older);
        if let Some(undecided) = &mut login.undecided {
            older(&mut undecided.found_at);
            older(&mut undecided.expires_at);
        }
    }
}

#[tokio::test]
async fn a_settlement_wakes_everyone_who_waits_for_it_and_nobody_else() {
    let waiters = waiters(1_000);
    let (mine, other) = (grant(), grant());
    let (mut one, mut two) = (waiters.arrive(mine, true), waiters.arrive(mine, true));
    let bystander = waiters.arrive(other, true);
    drop(waiters.wake(mine, Decision::Denied));
    assert_eq!(one.settled().await, Decision::Denied);
    assert_eq!(two.settled().await, Decision::Denied);
    assert_eq!(waiters.held(), 1);
    drop((one, two, bystander));
    assert_eq!(waiters.held(), 0);
    assert!(waiters.is_empty());
}

#[tokio::test]
async fn who_goes_away_leaves_nothing_behind() {
    let waiters = waiters(1_000);
    drop(waiters.arrive(grant(), true));
    assert_eq!(waiters.held(), 0);
    assert!(waiters.is_empty());
}

#[test]
fn one_login_can_not_hold_many_polls() {
    let waiters = waiters(1_000);
    let grant = grant();
    let held: Vec<_> = (0..MOST_HELD_FOR_ONE).map(|_| waiters.arrive(grant, true)).collect();
    assert!(!waiters.arrive(grant, true).is_held());
    drop(held);
    assert!(waiters.arrive(grant, true).is_held());
}

#[tokio::test]
async fn who_wakes_a_poll_hears_what_became_of_it() {
    let waiters = waiters(1_000);
    let grant = grant();
    assert!(!waiters.wake(grant, Decision::Approved).delivered().await, "nobody waited");
    let mut poll = waiters.arrive(grant, true);
    let mut woken = waiters.wake(grant, Decision::Approved);
    poll.settled().await;
    poll.has_delivered();
    assert!(woken.delivered().await);
    let mut poll = waiters.arrive(grant, true);
    let mut woken = waiters.wake(grant, Decision::Approved);
    poll.settled().await;
    drop(poll);
    assert!(!woken.delivered().await, "its client went away");
}

#[test]
fn polls_are_held_while_there_are_sockets_for_them() {
    let waiters = waiters(16);
    let held: Vec<_> = (0..12).map(|_| waiters.arrive(grant(), true)).collect();
    assert!(held.iter().all(Poll::is_held));
    assert!(!waiters.arrive(grant(), true).is_held());
    assert!(!waiters.have_room());
    drop(held);
    assert!(waiters.have_room() && waiters.arrive(grant(), true).is_held());
}

#[test]
fn an_undecided_login_is_known_while_the_feed_is_read() {
    let waiters = waiters(1_000);
    let grant = grant();
    waiters.fed(Instant::now());
    assert_eq!(waiters.arrive(grant, false).undecided(), None, "nobody has looked it up");
    undecided_poll(&waiters, grant, LIFE);
    let poll = waiters.arrive(grant, false);
    assert!(poll.undecided().is_some_and(|remaining| remaining <= LIFE));
    drop(poll);
    assert_eq!(waiters.arrive(grant, false).undecided(), None, "its client has gone away");
}

#[test]
fn what_is_known_is_not_relied_upon_for_ever() {
    let waiters = waiters(1_000);
    let grant = grant();
    let known = || {
        let poll = waiters.arrive(grant, false);
        let known = poll.undecided();
        poll.comes_again();
        known
    };
    let fed_after = |seconds| {
        pass(&waiters, Duration::from_secs(seconds));
        waiters.fed(Instant::now());
    };
    fed_after(0);
    undecided_poll(&waiters, grant, LIFE);
    pass(&waiters, FED_WITHIN);
    assert_eq!(known(), None, "the feed has not been read");
    fed_after(0);
    assert!(known().is_some(), "it is read again, and has brought nothing");
    for _ in 0..8 {
        fed_after(7);
        assert!(known().is_some());
    }
    fed_after(7);
    assert_eq!(known(), None, "a minute has gone by");
    undecided_poll(&waiters, grant, Duration::from_secs(3));
    fed_after(3);
    assert_eq!(known(), None, "its time may be over");
}

#[test]
fn a_settlement_is_not_covered_by_what_was_read_before_it() {
    let waiters = waiters(1_000);
    let grant = grant();
    waiters.fed(Instant::now());
    undecided_poll(&waiters, grant, LIFE);
    drop(waiters.wake(grant, Decision::Approved));
    assert_eq!(waiters.arrive(grant, false).undecided(), None);
    // The look-up of one poll is under way while the grant is settled and the next poll arrives.
    let slow = waiters.arrive(grant, false);
    drop(waiters.wake(grant, Decision::Approved));
    let next = waiters.arrive(grant, false);
    slow.found_undecided(LIFE);
    slow.comes_again();
    next.comes_again();
    assert_eq!(waiters.arrive(grant, false).undecided(), None);
}

#[test]
fn who_does_not_come_again_is_forgotten() {
    let waiters = waiters(1_000);
    undecided_poll(&waiters, grant(), LIFE);
    waiters.fed(Instant::now());
    assert!(!waiters.is_empty());
    pass(&waiters, COMES_AGAIN);
    waiters.fed(Instant::now());
    assert!(waiters.is_empty());
}

#[test]
fn logins_past_the_bound_are_looked_up_each_time() {
    let waiters = waiters(1_000);
    let grants: Vec<_> = (0..=MOST_LOGINS).map(|_| grant()).collect();
    let polls: Vec<_> = grants[..MOST_LOGINS].iter().map(|grant| waiters.arrive(*grant, false)).collect();
    let poll = waiters.arrive(grants[MOST_LOGINS], true);
    poll.found_undecided(LIFE);
    assert!(!poll.is_held());
    poll.comes_again();
    drop(polls);
    assert!(waiters.is_empty());
}
