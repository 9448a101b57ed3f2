//! What waiting costs: nothing but a poll's way here and back.

use std::time::Duration;

use crate::support::{Browser, Database, Login, Poll, Stage, connect, eventually, new_grant};

/// Polls are answered at once.
const PLAIN: &[(&str, &str)] = &[("LONG_POLL_SECONDS", "0")];

/// How often the database has noted a poll.
async fn noted(stage: &Stage) -> i64 {
    let noted = "SELECT coalesce(sum(extract(epoch FROM polled_at) * 1000000), 0)::int8 FROM device_requests";
    stage.database.rows(noted).await[0].get(0)
}

/// Polls until ten polls in a row have needed no look-up.
async fn until_known(stage: &Stage, login: &Login) {
    let known = async || {
        assert_eq!(login.poll().await, Poll::error("authorization_pending"));
        let before = noted(stage).await;
        for _ in 0..10 {
            assert_eq!(login.poll().await, Poll::error("authorization_pending"));
        }
        noted(stage).await == before
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
    until_known(&stage, &at_a).await;
    until_known(&stage, &denied_at_a).await;

    let done = browser.approve(&consent).await;
    assert!(done.says("signed in") || done.says("Approved"), "{}", done.text);
    assert_eq!(at_a.decided().await, Poll::Token(stage.postiz.live_token().unwrap()));
    let browser = Browser::new();
    let page = browser.visit(&format!("{}?code={}", denied.verification_uri, denied.user_code)).await;
    assert!(browser.press(&page, ("action", "deny"), &[]).await.says("Login denied"));
    assert_eq!(denied_at_a.decided().await, Poll::error("access_denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_of_this_replica_is_known_to_the_next_poll() {
    let stage = Stage::with(1, PLAIN).await;
    let (login, browser, consent) = stage.at_consent().await;
    until_known(&stage, &login).await;
    browser.approve(&consent).await;
    assert_eq!(login.poll().await, Poll::Token(stage.postiz.live_token().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_is_noticed_although_the_login_is_known_to_be_pending() {
    let stage = Stage::with(1, &[("LONG_POLL_SECONDS", "0"), ("DEVICE_CODE_TTL", "60")]).await;
    let login = stage.cli().open().await;
    stage.database.run("UPDATE device_requests SET expires_at = now() + interval '3 seconds'").await;
    assert_eq!(login.poll().await, Poll::error("authorization_pending"));
    assert_eq!(login.decided().await, Poll::error("expired_token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_commits_late_reaches_a_held_poll() {
    let database = Database::new().await;
    let store = database.store();
    store.database().migrate().await.unwrap();
    let grant = store.open(&new_grant()).await.unwrap().0.grant_id();
    let mut other = connect(&database.url()).await;
    let late = other.transaction().await.unwrap();
    late.simple_query("UPDATE device_requests SET status = 'denied', settled_at = now()").await.unwrap();
    let first = store.decided(None, Duration::ZERO).await.unwrap();
    assert!(first.grants.is_empty());
    late.commit().await.unwrap();
    let overlap = Duration::from_mins(1);
    let found = store.decided(Some(first.clock), overlap).await.unwrap().grants;
    assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [grant]);
}
