//! The browser repeats itself, or is another one.

use std::sync::Arc;

use postiz_auth_server::grant::{BrowserKey, VerifierSalt};
use postiz_auth_server::secret::Digest;
use stand_in::Fault;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use url::Url;

use crate::support::{Browser, Login, Page, Poll, Replica, Stage, held_on};

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
async fn a_callback_in_another_browser_ends_the_login_and_exchanges_nothing() {
    let stage = Stage::with(2, &[]).await;
    let (login, attacker, victim, callback) = approved_by_a_victim(&stage).await;
    let held = login.at(&stage.replicas[1].url());
    let held = tokio::spawn(async move { held.poll().await });
    held_on(&stage, 1).await;
    stage.balancer.only(stage.replicas[0].port());
    for page in in_eight_tabs(&victim, &callback).await {
        assert_stopped(&page);
    }
    assert_eq!(held.await.unwrap(), Poll::error("access_denied"));
    // The attacker has got the address, and tries it in the login's own browser.
    let again = attacker.visit(&callback).await;
    assert!(again.says("Login denied"), "{}", again.text);
    assert_eq!(stage.postiz.exchanges().len(), 0);
    let log: String = stage.replicas.iter().map(Replica::log).collect();
    assert_eq!(log.matches(r#""origin":"wrong_browser""#).count(), 1, "{log}");
    assert!(!log.contains(r#""level":"ERROR""#), "{log}");
}

/// A victim's code, as from a proxy's log, in a login of the attacker's own. Postiz checks no verifier for apps that were made
/// by hand, but such a code is spent. For others, the verifier is not in the attacker's cookie.
#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_can_not_be_made_from_the_cookie_alone() {
    let stage = Stage::new().await;
    let (_, attacker, consent) = stage.at_consent().await;
    let key =
        attacker.cookie(&stage.balancer.url().parse().unwrap(), "postiz-browser").expect("the cookie of the page");
    let salt: Vec<u8> = stage.database.rows("SELECT verifier_salt FROM device_requests").await[0].get(0);
    let browser = BrowserKey::from_cookie(&key).unwrap();
    let challenge = |salt: [u8; 32]| {
        let verifier = browser.code_verifier(&VerifierSalt::from_bytes(salt)).to_base64url();
        data_encoding::BASE64URL_NOPAD.encode(Digest::of(verifier.as_bytes()).as_bytes())
    };
    let sent = parameter(consent.url.as_str(), "code_challenge");
    assert_eq!(challenge(salt.try_into().unwrap()), sent, "with the salt in the database");
    assert_ne!(challenge([0; 32]), sent);
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
    // A new code ends nothing either, because the terminal is signed in.
    let consent = Browser::new().visit(consent.url.as_str()).await;
    let page = Browser::new().approve(&consent).await;
    assert_eq!((page.status, page.url.path()), (403, "/device/done/wrong-browser"), "{}", page.text);
    assert_eq!(stage.postiz.exchanges().len(), 1);
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
    let made_up = "A".repeat(86);
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
