//! Whole logins, over two replicas.

use futures_util::future::join_all;

use crate::support::{Poll, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_held_on_one_replica_is_answered_after_an_approval_on_another() {
    let stage = Stage::with(2, &[]).await;
    stage.balancer.only(stage.replicas[1].port());
    let (login, browser, consent) = stage.at_consent().await;
    let held = login.at(&stage.replicas[0].url()).held();
    let done = browser.approve(&consent).await;
    // One answer, not "pending" and another poll: it was held, or came after the approval.
    assert_eq!(held.await.unwrap(), Poll::Token(stage.postiz.live_token().unwrap()));
    done.assert_shows(200, "Your terminal is signed in");
    assert_eq!(stage.postiz.exchanges().len(), 1);
    assert!(stage.postiz.exchanges()[0].verifier_matches, "PKCE and redirect_uri in both legs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_at_postiz_or_on_our_page_reaches_a_held_poll() {
    for at_postiz in [true, false] {
        let stage = Stage::with(2, &[]).await;
        let (login, browser, consent) = stage.at_consent().await;
        let held = login.held();
        let page = if at_postiz {
            browser.deny_at_postiz(&consent).await
        } else {
            browser.deny(&browser.view(&login).await).await
        };
        page.assert_shows(200, "Login denied");
        assert_eq!(held.await.unwrap(), Poll::error("access_denied"), "{at_postiz}");
        login.assert_refused("access_denied").await;
        assert_eq!(stage.postiz.exchanges().len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_lost_on_its_way_can_be_had_again_and_nine_more_polls_get_the_same() {
    let stage = Stage::with(2, &[]).await;
    let (login, _, _) = stage.approved().await;
    let token = login.decided().await;
    for poll in join_all((0..9).map(|_| login.poll())).await {
        assert_eq!(poll, token);
    }
    stage.database.run("UPDATE device_requests SET delivered_at = now() - interval '61 seconds'").await;
    let later = login.poll().await;
    assert!([Poll::error("expired_token"), Poll::error("invalid_grant")].contains(&later), "{later:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_cannot_save_its_token_gets_an_error_after_ten_deliveries() {
    let stage = Stage::with(2, &[]).await;
    let (login, _, _) = stage.approved().await;
    let polls = join_all((0..15).map(|_| login.poll())).await;
    let (tokens, refusals): (Vec<_>, Vec<_>) = polls.into_iter().partition(|poll| matches!(poll, Poll::Token(_)));
    assert_eq!(tokens.len(), 10);
    for refusal in refusals {
        let Poll::Error(error) = refusal else { unreachable!() };
        assert!(error.contains("can't save it") && error.contains("~/.postiz"), "{error}");
    }
    assert_eq!(login.poll_form().await, Poll::error("invalid_grant"));
    let log = stage.log();
    assert_eq!(log.matches("the terminal fetches its token again and again").count(), 1, "{log}");
    let version = async || -> String { stage.database.rows("SELECT xmin::text FROM device_requests").await[0].get(0) };
    let before = version().await;
    login.poll().await;
    assert_eq!(version().await, before, "what is refused writes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_login_and_an_unknown_one_get_different_errors() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    stage.database.run("UPDATE device_requests SET expires_at = now() - interval '1 second'").await;
    login.assert_refused("expired_token").await;
    browser.view(&login).await.assert_shows(400, "This code has expired");
    browser.approve(&consent).await.assert_shows(400, "no longer valid");
    assert_eq!(stage.postiz.exchanges().len(), 0, "what has expired is not exchanged");
    stage.database.run("DELETE FROM device_requests").await;
    login.assert_refused("invalid_grant").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_in_the_last_second_is_still_delivered() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let exchange = stage.held_exchange(&browser, &consent).await;
    // The time is over in the middle of the exchange.
    stage.database.run("UPDATE device_requests SET expires_at = now() - interval '1 second'").await;
    let held = login.held();
    exchange.page().await;
    assert_eq!(held.await.unwrap(), Poll::Token(stage.postiz.live_token().unwrap()));
}
