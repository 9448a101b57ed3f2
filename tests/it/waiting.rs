//! What waiting costs: nothing but a poll's way here and back.

use std::time::Duration;

use crate::support::{Database, Login, Poll, Stage, connect, eventually, new_grant};

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
    let stage = Stage::with(2, &[("LONG_POLL_SECONDS", "0")]).await;
    stage.balancer.only(stage.replicas[1].port());
    let (login, browser, consent) = stage.at_consent().await;
    let elsewhere = login.at(&stage.replicas[0].url());
    until_known(&stage, &login).await;
    until_known(&stage, &elsewhere).await;
    browser.approve(&consent).await;
    let token = Poll::Token(stage.postiz.live_token().unwrap());
    assert_eq!(login.poll().await, token, "the replica that decided knows at once");
    assert_eq!(elsewhere.decided().await, token);
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
    let found = store.decided(Some(first.clock), Duration::from_mins(1)).await.unwrap().grants;
    assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [grant]);
}
