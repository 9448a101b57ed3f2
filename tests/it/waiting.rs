//! What waiting costs: nothing but a poll's way here and back.

use postiz_auth_server::grant::{BrowserKey, Decision, DeviceCode};
use postiz_auth_server::store::{Change, DecisionFeed};

use crate::metrics::scrape;
use crate::support::{Browser, Database, Login, Poll, Replica, Stage, connect, eventually};

/// Polls are answered at once, and what they cost can be seen.
const PLAIN: &[(&str, &str)] = &[("LONG_POLL_SECONDS", "0"), ("METRICS_PORT", "0")];

async fn look_ups(replica: &Replica) -> f64 {
    scrape(replica).await["postiz_auth_batch_size_sum{statement=\"standing\"}"]
}

/// Polls until ten polls in a row have needed no look-up.
async fn until_known(login: &Login, replica: &Replica) {
    let known = async || {
        let before = look_ups(replica).await;
        for _ in 0..10 {
            assert_eq!(login.poll().await, Poll::error("authorization_pending"));
        }
        (look_ups(replica).await - before).abs() < f64::EPSILON
    };
    eventually("ten polls without a look-up", known).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_login_is_not_looked_up_again_and_learns_of_another_replicas_decision() {
    let stage = Stage::with(2, PLAIN).await;
    let (a, b) = (&stage.replicas[0], &stage.replicas[1]);
    stage.balancer.only(b.port());
    let (login, browser, consent) = stage.at_consent().await;
    let denied = stage.cli().open().await;
    let (at_a, denied_at_a) = (login.at(&a.url()), denied.at(&a.url()));
    until_known(&at_a, a).await;
    until_known(&denied_at_a, a).await;

    let done = browser.approve(&consent).await;
    assert!(done.says("signed in") || done.says("Approved"), "{}", done.text);
    assert_eq!(at_a.decided().await, Poll::Token(stage.postiz.live_token().unwrap()));
    let page = Browser::new().visit(&format!("{}?code={}", denied.verification_uri, denied.user_code)).await;
    assert!(browser.press(&page, ("action", "deny"), &[]).await.says("Login denied"));
    assert_eq!(denied_at_a.decided().await, Poll::error("access_denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_decision_feed_tells_of_a_confirmation_before_its_decision() {
    let store = Database::new().await.store();
    store.database().migrate().await.unwrap();
    let mut feed = DecisionFeed::new(store.clone());
    let (device_code, user_code) = store.open(None, None).await.unwrap();
    let grant = device_code.grant_id();
    assert_eq!(feed.next().await, Ok(Vec::new()));
    store.begin(user_code, None, &BrowserKey::random(), None, None).await.unwrap();
    assert_eq!(feed.next().await, Ok(vec![(grant, Change::Confirmed)]));
    store.deny(user_code, None).await.unwrap();
    assert_eq!(feed.next().await, Ok(vec![(grant, Change::Decided(Decision::Denied))]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_of_this_replica_is_known_to_the_next_poll() {
    let stage = Stage::with(1, PLAIN).await;
    let (login, browser, consent) = stage.at_consent().await;
    until_known(&login, &stage.replicas[0]).await;
    browser.approve(&consent).await;
    assert_eq!(login.poll().await, Poll::Token(stage.postiz.live_token().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_is_noticed_despite_the_pending_cache() {
    let stage = Stage::with(1, &[("LONG_POLL_SECONDS", "0"), ("METRICS_PORT", "0"), ("DEVICE_CODE_TTL", "60")]).await;
    let login = stage.cli().open().await;
    stage.database.run("UPDATE device_requests SET expires_at = now() + interval '3 seconds'").await;
    assert_eq!(login.poll().await, Poll::error("authorization_pending"));
    assert_eq!(login.decided().await, Poll::error("expired_token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_login_keeps_no_other_from_its_decision() {
    let database = Database::new().await;
    let store = database.store();
    store.database().migrate().await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(store.open(None, None).await.unwrap().0.grant_id());
    }
    let mut other = connect(&database.url()).await;
    let lock = other.transaction().await.unwrap();
    // The last one in the order of the index, which is the order of the locks.
    lock.simple_query("SELECT FROM device_requests ORDER BY id DESC LIMIT 1 FOR UPDATE").await.unwrap();
    assert_eq!(store.still_pending(&waiting).await.unwrap().len(), 19, "all but the locked one, without a wait");
    lock.rollback().await.unwrap();
    assert_eq!(store.still_pending(&waiting).await.unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn terminals_that_wait_are_noted_together_and_only_pending_logins_stay_known() {
    let database = Database::new().await;
    let store = database.store();
    store.database().migrate().await.unwrap();
    let denied = store.open(None, None).await.unwrap().0.grant_id();
    database.run("UPDATE device_requests SET status = 'denied'").await;
    let waiting = store.open(None, None).await.unwrap().0.grant_id();
    let deleted = DeviceCode::random().grant_id();
    let pending = store.still_pending(&[denied, deleted, waiting]).await.unwrap();
    let [(grant, remaining)] = pending[..] else { panic!("{pending:?}") };
    assert_eq!(grant, waiting);
    assert!((890..=900).contains(&remaining.as_secs()), "{remaining:?}");
    assert_eq!(database.count("device_requests WHERE status = 'pending' AND polled_at IS NOT NULL").await, 1);
}
