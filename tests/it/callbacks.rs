//! The browser repeats itself, or is another one.

use std::sync::Arc;

use stand_in::Fault;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::{Browser, Page, Poll, Stage};

/// The same address in eight tabs at once.
async fn in_eight_tabs(browser: &Browser, url: &str) -> Vec<Page> {
    let mut tabs = JoinSet::new();
    for _ in 0..8 {
        let (browser, url) = (browser.clone(), url.to_owned());
        tabs.spawn(async move { browser.visit(&url).await });
    }
    tabs.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_callbacks_at_once_are_one_exchange_and_tell_one_truth() {
    let stage = Stage::with(2, &[]).await;
    let (login, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    for page in in_eight_tabs(&browser, &callback).await {
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(page.says("Approved") || page.says("signed in"), "{}", page.text);
    }
    assert_eq!(stage.postiz.exchanges().len(), 1);
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_shows_success_again_and_exchanges_nothing() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    browser.visit(&callback).await;
    let before = browser.visit(&callback).await;
    assert!(before.says("Approved"), "{}", before.text);
    login.decided().await;
    let after = browser.visit(&callback).await;
    assert!(after.says("Your terminal is signed in"), "{}", after.text);
    assert_eq!(stage.postiz.exchanges().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_in_another_browser_is_refused_and_the_login_stays() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    let without_cookie = Browser::new();
    let other = Browser::new();
    other.confirm(&stage.cli().open().await).await;
    for stranger in [without_cookie, other] {
        let page = stranger.visit(&callback).await;
        assert_eq!(page.status, 403, "{}", page.text);
        assert!(page.says("another browser"), "{}", page.text);
    }
    assert_eq!(stage.postiz.exchanges().len(), 0);
    browser.visit(&callback).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_not_ours_never_reaches_postiz() {
    let stage = Stage::new().await;
    let (login, browser, _) = stage.at_consent().await;
    let made_up = "A".repeat(43);
    for state in [login.device_code.as_str(), login.user_code.as_str(), &made_up, "", "%00", "%F0%9F%98%80"] {
        let url = format!("{}/device/callback?code=x&state={state}", stage.balancer.url());
        let page = browser.visit(&url).await;
        assert_eq!(page.status, 400, "{state}: {}", page.text);
    }
    assert_eq!(stage.postiz.exchanges().len(), 0);
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_tab_does_not_strand_the_first() {
    let stage = Stage::with(2, &[]).await;
    let (login, browser, consent) = stage.at_consent().await;
    browser.confirm(&login).await;
    let done = browser.approve(&consent).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn authorizing_twice_delivers_the_token_that_works() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    // Pressing Authorize again has revoked the first token before the second callback comes.
    let done = browser.approve(&consent).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(stage.postiz.tokens_issued().len(), 2);
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
    // And a third time, when the terminal has it: the page says what that did.
    let replaced = browser.approve(&consent).await;
    assert_eq!(replaced.status, 409);
    assert!(replaced.says("has been signed out"), "{}", replaced.text);
    assert_eq!(stage.postiz.tokens_issued().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_approval_in_eight_tabs_is_told_one_truth() {
    let stage = Stage::with(2, &[]).await;
    let (login, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    let callback = browser.approve_only(&consent).await;
    for page in in_eight_tabs(&browser, &callback).await {
        assert_eq!(page.status, 200, "{}", page.text);
    }
    assert_eq!(stage.postiz.exchanges().len(), 2);
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_the_tab_in_mid_exchange_loses_nothing() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let release = Arc::new(Notify::new());
    stage.postiz.next_exchanges([Fault::Hold(Arc::clone(&release))]);
    let tab = tokio::spawn(async move { browser.approve(&consent).await });
    stage.exchange_begun(1).await;
    tab.abort();
    release.notify_one();
    assert_eq!(login.decided().await, Poll::Token(stage.postiz.live_token().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_killed_in_mid_exchange_is_taken_over() {
    let mut stage = Stage::with(2, &[]).await;
    stage.balancer.only(stage.replicas[0].port());
    let (login, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    stage.postiz.next_exchanges([Fault::Stall]);
    let tab = tokio::spawn({
        let (browser, callback) = (browser.clone(), callback.clone());
        async move { browser.visit_only(&callback).await }
    });
    stage.exchange_begun(1).await;
    stage.replicas[0].kill();
    tab.abort();
    stage.balancer.only(stage.replicas[1].port());
    let waiting = stage.database.count("device_requests WHERE leased_until > now()").await;
    assert_eq!(waiting, 1, "the lease is still held by the dead");
    stage.database.run("UPDATE device_requests SET leased_until = now()").await;
    let page = browser.visit(&callback).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}
