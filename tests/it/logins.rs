//! Whole logins, over two replicas.

use futures_util::future::join_all;

use crate::support::{Browser, Poll, Replica, Stage, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_login_ends_with_the_token_that_postiz_issued() {
    let stage = Stage::with(2, &[]).await;
    let (login, browser, consent) = stage.at_consent().await;
    let done = browser.approve(&consent).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
    assert_eq!(stage.postiz.exchanges().len(), 1);
    assert!(stage.postiz.exchanges()[0].verifier_matches, "PKCE and redirect_uri in both legs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_held_on_one_replica_is_answered_after_an_approval_on_another() {
    let stage = Stage::with(2, &[]).await;
    let (a, b) = (&stage.replicas[0], &stage.replicas[1]);
    stage.balancer.only(b.port());
    let (login, browser, consent) = stage.at_consent().await;
    let at_a = login.at(&a.url());
    let held = tokio::spawn(async move { at_a.poll().await });
    let done = browser.approve(&consent).await;
    // One answer, not "pending" and another poll: it was held, or came after the approval.
    assert_eq!(held.await.unwrap(), Poll::Token(stage.postiz.live_token().unwrap()));
    assert!(done.says("Your terminal is signed in"), "{}", done.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_at_postiz_reaches_the_terminal() {
    let stage = Stage::with(2, &[]).await;
    let (login, browser, consent) = stage.at_consent().await;
    let page = browser.press(&consent, ("decision", "deny"), &[]).await;
    assert!(page.says("Login denied"), "{}", page.text);
    assert_eq!(login.poll().await, Poll::error("access_denied"));
    assert_eq!(login.poll_form().await, Poll::error("access_denied"));
    assert_eq!(stage.postiz.exchanges().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_on_our_page_reaches_a_held_poll() {
    let stage = Stage::with(2, &[]).await;
    let login = stage.cli().open().await;
    let held = tokio::spawn({
        let login = login.clone();
        async move { login.decided().await }
    });
    let browser = Browser::new();
    let page = browser.visit(&format!("{}?code={}", login.verification_uri, login.user_code)).await;
    let page = browser.press(&page, ("action", "deny"), &[]).await;
    assert!(page.says("Login denied"), "{}", page.text);
    assert_eq!(held.await.unwrap(), Poll::error("access_denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn someone_who_is_signed_out_comes_back_to_the_consent_page() {
    let stage = Stage::new().await;
    stage.postiz.sign_out();
    let login = stage.cli().open().await;
    let browser = Browser::new();
    let sign_in = browser.confirm(&login).await;
    assert_eq!(sign_in.url.path(), "/auth");
    let consent = browser.press(&sign_in, ("sign_in", "yes"), &[]).await;
    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_lost_on_its_way_can_be_had_again_and_nine_more_polls_get_the_same() {
    let stage = Stage::with(2, &[]).await;
    let (login, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
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
    let (login, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    let polls = join_all((0..30).map(|_| login.poll())).await;
    let (tokens, refusals): (Vec<_>, Vec<_>) = polls.into_iter().partition(|poll| matches!(poll, Poll::Token(_)));
    assert_eq!(tokens.len(), 10);
    for refusal in refusals {
        let Poll::Error(error) = refusal else { unreachable!() };
        assert!(error.contains("can't save it") && error.contains("~/.postiz"), "{error}");
    }
    assert_eq!(login.poll_form().await, Poll::error("invalid_grant"));
    let logs: String = stage.replicas.iter().map(Replica::log).collect();
    assert_eq!(logs.matches("the terminal fetches its token again and again").count(), 1, "{logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_login_and_an_unknown_one_get_different_errors() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    stage.database.run("UPDATE device_requests SET expires_at = now() - interval '1 second'").await;
    assert_eq!(login.poll().await, Poll::error("expired_token"));
    assert_eq!(login.poll_form().await, Poll::error("expired_token"));
    let page = browser.visit(&format!("{}?code={}", login.verification_uri, login.user_code)).await;
    assert_eq!(page.status, 400);
    assert!(page.says("This code has expired"), "{}", page.text);
    let late = browser.approve(&consent).await;
    assert!(late.says("no longer valid"), "{}", late.text);
    assert_eq!(stage.postiz.exchanges().len(), 0, "what has expired is not exchanged");
    stage.database.run("DELETE FROM device_requests").await;
    assert_eq!(login.poll().await, Poll::error("invalid_grant"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_in_the_last_second_is_still_delivered() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let release = std::sync::Arc::new(tokio::sync::Notify::new());
    stage.postiz.next_exchanges([stand_in::Fault::Hold(std::sync::Arc::clone(&release))]);
    let approving = tokio::spawn(async move { browser.approve(&consent).await });
    stage.exchange_begun(1).await;
    // The time is over in the middle of the exchange.
    stage.database.run("UPDATE device_requests SET expires_at = now() - interval '1 second'").await;
    let held = tokio::spawn({
        let login = login.clone();
        async move { login.decided().await }
    });
    release.notify_one();
    approving.await.unwrap();
    assert_eq!(held.await.unwrap(), Poll::Token(stage.postiz.live_token().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_grants_are_deleted() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    stage
        .database
        .run(
            "INSERT INTO device_requests (id, user_code, sealing_key, verifier_salt, interval_seconds, expires_at)
             SELECT sha256(n::text::bytea), lpad(n::text, 8, 'X'), sha256('k'), sha256('s'), 1, now() - interval '2 minutes'
             FROM generate_series(1, 1200) AS n",
        )
        .await;
    // A new replica begins with a cleanup, in batches.
    let mut stage = stage;
    stage.start_replica().await;
    eventually("the cleanup", async || stage.database.count("device_requests").await == 1).await;
    assert_eq!(login.at(&stage.replicas[1].url()).poll_form().await, Poll::error("authorization_pending"));
}
