//! The operator ends logins, and their terminals hear of it.

use crate::support::{Browser, Database, Poll, Stage, eventually, free_port, held_on};

/// Runs `revoke`, which ends with this code and says this.
async fn revokes(stage: &Stage, which: &str, code: i32, words: &str) {
    let (ended, said) = stage.revoke(which).await;
    assert_eq!(ended, Some(code), "{said}");
    assert!(said.contains(words), "{words:?}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_login_is_revoked_by_its_user_code_and_its_held_poll_is_answered_at_once() {
    let stage = Stage::with(2, &[]).await;
    let (ended, other) = (stage.cli().open().await, stage.cli().open().await);
    let held = ended.at(&stage.replicas[0].url()).held();
    held_on(&stage, 1).await;
    let code = ended.user_code.to_lowercase();
    revokes(&stage, &code, 0, "Logins revoked: 1.").await;
    // One answer, not "pending" and another poll.
    assert_eq!(held.await.unwrap(), Poll::error("expired_token"));
    ended.assert_refused("expired_token").await;
    other.assert_pending().await;
    Browser::new().view(&ended).await.assert_shows(400, "This code has expired");
    revokes(&stage, &code, 1, "No login under way").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_at_postiz_has_no_effect_after_a_revocation_by_reference() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let id = stage.database.rows("SELECT encode(substr(id, 1, 4), 'hex') FROM device_requests").await;
    let reference: String = id[0].get(0);
    revokes(&stage, &reference, 0, &format!("revoked {reference}\n")).await;
    browser.approve(&consent).await.assert_shows(400, "no longer valid");
    assert_eq!(stage.postiz.exchanges().len(), 0);
    assert_eq!(login.poll().await, Poll::error("expired_token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pending_logins_are_ended_and_those_that_are_done_are_not() {
    let stage = Stage::with(2, &[]).await;
    let (delivered, _, _) = stage.approved().await;
    let token = delivered.decided().await;
    let (approved, _, _) = stage.approved().await;
    let opened = stage.cli().open().await;
    let (exchanging, browser, consent) = stage.at_consent().await;
    let exchange = stage.held_exchange(&browser, &consent).await;

    revokes(&stage, "--all-pending", 0, "Logins revoked: 3.").await;
    exchange.page().await.assert_shows(400, "no longer valid");
    eventually("a warning", async || stage.log().contains("stays valid at Postiz")).await;
    for login in [&approved, &opened, &exchanging] {
        assert_eq!(login.poll().await, Poll::error("expired_token"));
    }
    assert_eq!(delivered.poll().await, token, "what is delivered can still be had again");
    revokes(&stage, "--all-pending", 0, "Logins revoked: 0.").await;
    assert_eq!(stage.database.count("device_requests WHERE sealed_token IS NOT NULL").await, 1, "its tokens are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_without_a_database_says_so() {
    let mut stage = Stage::empty(Database::new().await, &[]);
    let unavailable = format!("postgres://x@localhost:{}/x", free_port());
    stage.variables().insert("DATABASE_URL", unavailable);
    revokes(&stage, "--all-pending", 1, "Not revoked, or not all: the database is unavailable").await;
}
