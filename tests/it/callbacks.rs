//! The browser repeats itself, or is another one.

use std::sync::Arc;

use stand_in::Fault;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use url::Url;

use crate::support::{Browser, Login, Page, Poll, Stage, connect, eventually, held_on};

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

/// Two replicas with an app that was created by hand: Postiz takes its codes without a verifier.
async fn with_app_made_by_hand() -> Stage {
    let mut stage = Stage::with(0, &[("POSTIZ_OAUTH_CLIENT_ID", "pca_tests")]).await;
    stage.postiz.set_client_id("pca_tests");
    for _ in 0..2 {
        stage.start_replica().await;
    }
    stage
}

/// The same callback with another code.
fn with_code(callback: &str, code: &str) -> String {
    let mut url = Url::parse(callback).unwrap();
    let state = parameter(callback, "state");
    url.query_pairs_mut().clear().append_pair("code", code).append_pair("state", &state);
    url.into()
}

fn parameter(url: &str, name: &str) -> String {
    Url::parse(url).unwrap().query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned()
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
    assert_eq!(page.status, 403, "{}", page.text);
    assert!(page.says("stopped for your safety") && page.says("Nothing was shared"), "{}", page.text);
    assert_eq!(page.url.path(), "/device/done/stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_in_another_browser_ends_the_login_and_uses_its_code_up() {
    let stage = with_app_made_by_hand().await;
    let (login, attacker, victim, callback) = approved_by_a_victim(&stage).await;
    let held = login.at(&stage.replicas[1].url());
    let held = tokio::spawn(async move { held.poll().await });
    held_on(&stage, 1).await;
    stage.balancer.only(stage.replicas[0].port());
    assert_stopped(&victim.visit(&callback).await);
    assert_eq!(held.await.unwrap(), Poll::error("access_denied"));
    eventually("the code to be used up", async || stage.postiz.tokens_issued().len() == 1).await;

    // The attacker has got the address, and tries it in the login's own browser and in another login.
    let again = attacker.visit(&callback).await;
    assert!(again.says("Login denied"), "{}", again.text);
    let (other, attacker, consent) = stage.at_consent().await;
    let own = attacker.approve_only(&consent).await;
    let injected = attacker.visit(&with_code(&own, &parameter(&callback, "code"))).await;
    assert!(injected.says("no longer accepts this approval"), "{}", injected.text);
    assert_eq!(other.poll_form().await, Poll::error("authorization_pending"));
    assert_eq!(stage.postiz.tokens_issued().len(), 1);
    assert_eq!(stage.database.count("device_requests WHERE sealed_token IS NOT NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_ended_in_another_browser_is_no_error_even_if_postiz_refuses_the_code() {
    let stage = Stage::new().await;
    let (login, _, consent) = stage.at_consent().await;
    let other = Browser::new();
    other.confirm(&stage.cli().open().await).await;
    let consent = other.visit(consent.url.as_str()).await;
    let callback = other.approve_only(&consent).await;
    for page in in_eight_tabs(&other, &callback).await {
        assert_stopped(&page);
    }
    assert_eq!(login.poll_form().await, Poll::error("access_denied"));
    stage.replicas[0].logged("a code from another browser is worthless").await;
    assert_eq!(stage.postiz.exchanges().len(), 1, "each code is handled once");
    let log = stage.replicas[0].log();
    assert!(log.contains(r#""origin":"wrong_browser""#) && !log.contains(r#""level":"ERROR""#), "{log}");
}

/// Otherwise three made-up codes in the attacker's own browser would protect the victim's.
#[tokio::test(flavor = "multi_thread")]
async fn made_up_codes_do_not_keep_a_victims_code_from_being_used_up() {
    let stage = with_app_made_by_hand().await;
    let (login, attacker, victim, callback) = approved_by_a_victim(&stage).await;
    for n in 0..3 {
        attacker.visit(&with_code(&callback, &format!("made-up-{n}"))).await;
    }
    assert_stopped(&victim.visit(&callback).await);
    eventually("the code to be used up", async || stage.postiz.tokens_issued().len() == 1).await;
    assert_eq!(login.poll_form().await, Poll::error("access_denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_login_is_taken_back_from_another_browser() {
    let stage = Stage::new().await;
    let (login, attacker, consent) = stage.at_consent().await;
    attacker.approve(&consent).await;
    let victim = Browser::new();
    let consent = victim.visit(consent.url.as_str()).await;
    assert_stopped(&victim.approve(&consent).await);
    assert_eq!(login.poll_form().await, Poll::error("access_denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_browser_cannot_end_a_login_with_the_right_browsers_code() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    browser.visit(&callback).await;
    let token = stage.postiz.live_token().map(Poll::Token);
    for delivered in [false, true] {
        let page = Browser::new().visit(&callback).await;
        assert_eq!((page.status, page.url.path()), (403, "/device/done/wrong-browser"), "{}", page.text);
        assert_eq!(Some(login.decided().await), token, "{delivered}");
    }
    assert_eq!(stage.postiz.exchanges().len(), 1);
    // A new code ends nothing either, because the terminal is signed in; but nobody else gets it.
    let consent = Browser::new().visit(consent.url.as_str()).await;
    assert_stopped(&Browser::new().approve(&consent).await);
    stage.exchange_begun(2).await;
    assert_eq!(Some(login.decided().await), token);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_in_another_browser_ends_nothing() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    let refusal =
        format!("{}/device/callback?error=access_denied&state={}", stage.balancer.url(), parameter(&callback, "state"));
    let other = Browser::new();
    other.confirm(&stage.cli().open().await).await;
    for stranger in [Browser::new(), other] {
        let page = stranger.visit(&refusal).await;
        assert_eq!((page.status, page.url.path()), (403, "/device/done/wrong-browser"), "{}", page.text);
        assert!(page.says("another browser"), "{}", page.text);
    }
    browser.visit(&callback).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}

/// An image or a prefetch on another site's page brings a code in a browser without its cookie.
#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_is_no_navigation_changes_nothing() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    let http = crate::support::http().build().unwrap();
    for (name, value) in [("Sec-Fetch-Dest", "image"), ("Sec-Fetch-Dest", "iframe"), ("Sec-Purpose", "prefetch")] {
        let answer = http.get(&callback).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{name}: {value}");
    }
    let head = http.head(&callback).send().await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["cache-control"]), (200, &"no-store".parse().unwrap()));
    assert_eq!(stage.postiz.exchanges().len(), 0);
    browser.visit(&callback).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_finished_page_keeps_the_code_or_the_state_in_its_address() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let waiting = browser.approve(&consent).await;
    login.decided().await;
    let replaced = browser.approve(&consent).await;
    let (_, browser, consent) = stage.at_consent().await;
    let denied = browser.press(&consent, ("decision", "deny"), &[]).await;
    let (_, _, victim, callback) = approved_by_a_victim(&stage).await;
    let stopped = victim.visit(&callback).await;
    let unknown = victim.visit(&callback.replace("state=", "state=x")).await;
    let elsewhere = Browser::new().visit(&callback.replace("code=", "error=access_denied&x=")).await;
    for (page, word, status) in [
        (waiting, "waiting", 200),
        (replaced, "replaced", 409),
        (denied, "denied", 200),
        (stopped, "stopped", 403),
        (unknown, "link-expired", 400),
        (elsewhere, "wrong-browser", 403),
    ] {
        assert_eq!((page.status, page.url.path()), (status, format!("/device/done/{word}").as_str()), "{}", page.text);
        assert!(page.url.query_pairs().all(|(name, _)| name == "reference"), "{}", page.url);
        if page.url.query().is_some() {
            assert!(page.says(&parameter(page.url.as_str(), "reference")), "{}", page.text);
        }
        let reloaded = Browser::new().visit(page.url.as_str()).await;
        assert_eq!((reloaded.status, reloaded.text), (page.status, page.text));
        assert_eq!(reloaded.headers["cache-control"], "no-store");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_a_finished_page_shows_no_text_of_its_own() {
    let stage = Stage::new().await;
    let done = |rest: &str| format!("{}/device/done/{rest}", stage.balancer.url());
    for word in ["SignedIn", "signed_in", "pending", "%F0%9F%A6%80", "x"] {
        assert_eq!(Browser::new().visit(&done(word)).await.status, 404, "{word}");
    }
    for reference in ["Zyzzyva1", "1A2B3C4D", "1a2b3c4", "<b>", "%ff"] {
        let page = Browser::new().visit(&done(&format!("signed-in?reference={reference}&x={reference}"))).await;
        assert_eq!(page.status, 200, "{reference}");
        assert!(!page.text.contains(reference) && !page.says("Reference"), "{}", page.text);
    }
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
async fn a_second_approval_in_eight_tabs_shows_one_result() {
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

/// Otherwise the code would stay good: a reload finds that it was brought already.
#[tokio::test(flavor = "multi_thread")]
async fn closing_the_tab_of_another_browser_uses_its_code_up_all_the_same() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    let lock = connect(&stage.database.url()).await;
    lock.batch_execute("BEGIN; SELECT 1 FROM device_requests FOR UPDATE").await.unwrap();
    let tab = tokio::spawn(async move { Browser::new().visit_only(&callback).await });
    let blocked = "pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    eventually("the statement", async || stage.database.count(blocked).await == 1).await;
    tab.abort();
    // It arrives after the end of the other connection has been noticed.
    stage.cli().open().await;
    lock.batch_execute("COMMIT").await.unwrap();
    stage.exchange_begun(1).await;
    assert_eq!(login.decided().await, Poll::error("access_denied"));
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

/// The exchange is under way when the person declines on our page.
#[tokio::test(flavor = "multi_thread")]
async fn a_denial_that_overtakes_an_exchange_says_that_a_token_stays_valid() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let form = browser.visit(&format!("{}?code={}", login.verification_uri, login.user_code)).await;
    let release = Arc::new(Notify::new());
    stage.postiz.next_exchanges([Fault::Hold(Arc::clone(&release))]);
    let approving = tokio::spawn({
        let browser = browser.clone();
        async move { browser.approve(&consent).await }
    });
    stage.exchange_begun(1).await;
    browser.press(&form, ("action", "deny"), &[]).await;
    release.notify_one();
    let page = approving.await.unwrap();
    assert!(page.says("Login denied"), "{}", page.text);
    let line = stage.replicas[0].logged("it stays valid at Postiz").await;
    assert_eq!(line["level"], "WARN", "{line}");
    assert_eq!(login.poll_form().await, Poll::error("access_denied"));
}
