//! The browser repeats itself, or is another one.

use tokio::task::JoinSet;

use crate::support::{Browser, Login, Page, Poll, Stage, held_on, send};

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
async fn eight_concurrent_callbacks_make_one_exchange_and_show_one_result() {
    let stage = Stage::with(2, &[]).await;
    let (login, browser, consent) = stage.at_consent().await;
    let mut callback = String::new();
    for exchanges in [1, 2] {
        callback = browser.approve_only(&consent).await;
        for page in in_eight_tabs(&browser, &callback).await {
            page.assert_shows(200, "Approved");
        }
        assert_eq!(stage.postiz.exchanges().len(), exchanges);
    }
    stage.assert_signed_in(&login).await;
    browser.visit(&callback).await.assert_shows(200, "Your terminal is signed in");
    assert_eq!(stage.postiz.exchanges().len(), 2, "a reload exchanges nothing");
}

/// An attacker begins a login and sends a victim the link to Postiz. The victim approves, and is sent to this callback.
async fn approved_by_a_victim(stage: &Stage) -> (Login, Browser, Browser, String) {
    let (login, attacker, consent) = stage.at_consent().await;
    let victim = Browser::new();
    let consent = victim.visit(consent.url.as_str()).await;
    let callback = victim.approve_only(&consent).await;
    (login, attacker, victim, callback)
}

fn assert_stopped(page: &Page) {
    page.assert_done(403, "stopped");
    assert!(page.says("stopped for your safety") && page.says("Nothing was shared"), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_in_another_browser_ends_the_login_and_exchanges_nothing() {
    let stage = Stage::with(2, &[]).await;
    let (login, attacker, victim, callback) = approved_by_a_victim(&stage).await;
    let held = login.at(&stage.replicas[1].url()).held();
    held_on(&stage, 1).await;
    stage.balancer.only(stage.replicas[0].port());
    for page in in_eight_tabs(&victim, &callback).await {
        assert_stopped(&page);
    }
    assert_eq!(held.await.unwrap(), Poll::error("access_denied"));
    // The attacker has got the address, and tries it in the login's own browser.
    attacker.visit(&callback).await.assert_done(200, "denied");
    assert_eq!(stage.postiz.exchanges().len(), 0);
    let log = stage.log();
    assert_eq!(log.matches(r#""origin":"wrong_browser""#).count(), 1, "{log}");
    assert!(!log.contains(r#""level":"ERROR""#), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_login_is_taken_back_from_another_browser() {
    let stage = Stage::new().await;
    let (login, _, consent) = stage.approved().await;
    let victim = Browser::new();
    let consent = victim.visit(consent.url.as_str()).await;
    assert_stopped(&victim.approve(&consent).await);
    login.assert_refused("access_denied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_browser_ends_nothing_by_a_refusal_or_the_right_browsers_code() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    let other = Browser::new();
    other.confirm(&stage.cli().open().await).await;
    for stranger in [Browser::new(), other] {
        let refused = stranger.visit(&callback.replace("code=", "error=access_denied&x=")).await;
        refused.assert_done(403, "wrong-browser");
        refused.assert_shows(403, "another browser");
    }
    browser.visit(&callback).await;
    for _delivered in [false, true] {
        Browser::new().visit(&callback).await.assert_done(403, "wrong-browser");
        stage.assert_signed_in(&login).await;
    }
    let token = login.decided().await;
    // A new code ends nothing either, because the terminal is signed in.
    let consent = Browser::new().visit(consent.url.as_str()).await;
    Browser::new().approve(&consent).await.assert_done(403, "wrong-browser");
    assert_eq!(stage.postiz.exchanges().len(), 1);
    assert_eq!(login.decided().await, token);
}

/// An image or a prefetch on another site's page brings a code in a browser without its cookie.
#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_is_no_navigation_changes_nothing() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    for (method, header, status) in [
        ("GET", ("Sec-Fetch-Dest", "image"), 403),
        ("GET", ("Sec-Fetch-Dest", "iframe"), 403),
        ("GET", ("Sec-Purpose", "prefetch"), 403),
        ("HEAD", ("Accept", "text/html"), 200),
    ] {
        assert_eq!(send(method, &callback, &[header], "").await.status(), status, "{method} {header:?}");
    }
    assert_eq!(stage.postiz.exchanges().len(), 0);
    browser.visit(&callback).await;
    stage.assert_signed_in(&login).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_a_finished_page_shows_no_text_of_its_own() {
    let stage = Stage::new().await;
    Browser::new().visit(&stage.url("/device/done/pending")).await.assert_shows(404, "");
    for reference in ["Zyzzyva1", "1A2B3C4D", "1a2b3c4", "<b>", "%ff"] {
        let url = stage.url(&format!("/device/done/signed-in?reference={reference}&x={reference}"));
        let page = Browser::new().visit(&url).await;
        page.assert_shows(200, "signed in");
        assert!(!page.text.contains(reference) && !page.says("Reference"), "{}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_not_ours_never_reaches_postiz() {
    let stage = Stage::new().await;
    let (login, browser, _) = stage.at_consent().await;
    let made_up = "A".repeat(86);
    for state in [login.device_code.as_str(), login.user_code.as_str(), &made_up, "", "%00", "%F0%9F%98%80"] {
        let page = browser.visit(&stage.url(&format!("/device/callback?code=x&state={state}"))).await;
        page.assert_done(400, "link-expired");
    }
    assert_eq!(stage.postiz.exchanges().len(), 0);
    login.assert_pending().await;
}

/// The key comes with the page, so two tabs or both submissions of a double click have the same one, and either way back
/// from Postiz is right.
#[tokio::test(flavor = "multi_thread")]
async fn two_clicks_on_continue_are_one_browser() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    let browser = Browser::new();
    let page = browser.view(&login).await;
    let (first, second) = tokio::join!(browser.go_on(&page), browser.go_on(&page));
    assert_eq!(first.parameter("state"), second.parameter("state"));
    assert_eq!(stage.database.count("device_requests WHERE browsers = 1").await, 1);
    browser.approve(&first).await.assert_done(200, "waiting");
    stage.assert_signed_in(&login).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn authorizing_twice_delivers_the_token_that_works() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.approved().await;
    // Pressing Authorize again has revoked the first token before the second callback comes.
    browser.approve(&consent).await.assert_shows(200, "");
    assert_eq!(stage.postiz.tokens_issued().len(), 2);
    stage.assert_signed_in(&login).await;
    // And a third time, when the terminal has it: the page says what that did.
    let replaced = browser.approve(&consent).await;
    replaced.assert_done(409, "replaced");
    replaced.assert_shows(409, "has been signed out");
    assert_eq!(Browser::new().visit(replaced.url.as_str()).await.text, replaced.text, "a reload shows the same");
    assert_eq!(stage.postiz.tokens_issued().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_the_tab_in_mid_exchange_loses_nothing() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let exchange = stage.held_exchange(&browser, &consent).await;
    exchange.tab.abort();
    exchange.release.notify_one();
    stage.assert_signed_in(&login).await;
}

/// The exchange is under way when the person declines on our page.
#[tokio::test(flavor = "multi_thread")]
async fn a_denial_that_overtakes_an_exchange_says_that_a_token_stays_valid() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let form = browser.view(&login).await;
    let exchange = stage.held_exchange(&browser, &consent).await;
    browser.deny(&form).await;
    exchange.page().await.assert_shows(200, "Login denied");
    let line = stage.replicas[0].logged("it stays valid at Postiz").await;
    assert_eq!(line["level"], "WARN", "{line}");
    login.assert_refused("access_denied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_client_secret_ends_no_login_under_way() {
    let mut stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    stage.postiz.set_client_secret("pcs_rotated");
    stage.variables().insert("POSTIZ_OAUTH_CLIENT_SECRET", "pcs_rotated".to_owned());
    stage.replicas.clear();
    let rotated = stage.start_replica().await.port();
    stage.balancer.only(rotated);
    browser.approve(&consent).await;
    stage.assert_signed_in(&login).await;
}
