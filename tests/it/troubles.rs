//! Postiz misbehaves at the exchange; the login survives.

use serde_json::{Value, json};
use stand_in::Fault;
use tokio::task::JoinSet;

use crate::support::{Browser, Login, Page, Poll, Stage, http};

/// What a person has to do after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The code may still be good. The page offers to try it again.
    Retry,
    /// The code is spent. The page offers to approve again, for the same login.
    Approve,
    /// Postiz spends the code and sends no answer, so only a retry finds out.
    RetryThenApprove,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_outlives_each_fault_of_an_exchange_and_the_page_offers_the_step_that_can_succeed() {
    use Next::{Approve, Retry, RetryThenApprove};
    let faults = [
        (Fault::ClientRefused, Retry),
        (Fault::FrameworkError, Retry),
        (Fault::BadGateway, Retry),
        (Fault::Redirect("http://localhost:9/".to_owned()), Retry),
        (Fault::Stall, Retry),
        (Fault::BreakOff, Retry),
        (Fault::CodeRefused, Approve),
        (Fault::Page, Approve),
        (Fault::HalfAnswer, Approve),
        (Fault::Garbage, Approve),
        (Fault::Huge(32 * 1024 * 1024), Approve),
        (Fault::StallAfterSpending, RetryThenApprove),
        (Fault::BreakOffAfterSpending, RetryThenApprove),
    ];
    // Several at a time: most of it is waiting.
    for some in faults.chunks(5) {
        some.iter().cloned().map(|(fault, next)| outlives(fault, next)).collect::<JoinSet<()>>().join_all().await;
    }
}

async fn outlives(fault: Fault, next: Next) {
    let name = format!("{fault:?}");
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    stage.postiz.next_exchanges([fault]);
    let page = browser.visit(&callback).await;
    let offer = if next == Next::Approve { "Approve again" } else { "Try again" };
    assert!(page.status == 502 && page.says(offer), "{name}: {}", page.text);
    assert_eq!(stage.postiz.exchanges().len(), 1, "{name}: a request that may have arrived is not repeated by itself");
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"), "{name}");

    let mut page = browser.visit(&callback).await;
    let sent_again = usize::from(next != Next::Approve);
    assert_eq!(stage.postiz.exchanges().len(), 1 + sent_again, "{name}: a spent code is not sent again");
    if next != Next::Retry {
        assert!(page.says("Approve again"), "{name}: {}", page.text);
        let consent = browser.submit(&page, &[]).await;
        page = browser.approve(&consent).await;
    }
    assert_eq!(page.status, 200, "{name}: {}", page.text);
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token), "{name}");
}

/// Nobody listens at Postiz's address.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_postiz_is_explained() {
    // A free port would do only until another test takes it.
    let stage = Stage::with(1, &[("POSTIZ_API_URL", "http://localhost:1/api")]).await;
    let (login, browser, consent) = stage.at_consent().await;
    let page = browser.approve(&consent).await;
    assert!(page.says("can’t be reached") && page.says("Try again"), "{}", page.text);
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
}

/// A login that a browser at this address has confirmed, with the browser and the callback's address without a code.
async fn begun_at(stage: &Stage, address: &str) -> (Login, Browser, Page, String) {
    let (login, browser) = (stage.cli().open_at(address).await, Browser::at(address));
    let consent = browser.confirm(&login).await;
    let returned = consent.url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    (login, browser, consent, format!("{}/device/callback?state={returned}&code=", stage.balancer.url()))
}

#[tokio::test(flavor = "multi_thread")]
async fn five_codes_of_a_login_are_exchanged_and_no_more() {
    let stage = Stage::with(2, &[]).await;
    let (login, browser, consent, callback) = begun_at(&stage, "203.0.113.5").await;
    for code in ["one", "two", "three", "four", "five"] {
        let page = browser.visit(&format!("{callback}{code}")).await;
        assert!(page.says("Approve again"), "{code}: {}", page.text);
    }
    for code in ["one", "five", "six"] {
        let page = browser.visit(&format!("{callback}{code}")).await;
        assert!(page.says("no longer valid"), "{code}: {}", page.text);
    }
    assert!(browser.approve(&consent).await.says("no longer valid"));
    assert_eq!(stage.postiz.exchanges().len(), 5);
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
}

#[tokio::test(flavor = "multi_thread")]
async fn past_its_callbacks_a_client_sends_nothing_to_postiz_and_another_one_logs_in() {
    let stage = Stage::new().await;
    let (_, browser, _, callback) = begun_at(&stage, "203.0.113.5").await;
    let mut flood = JoinSet::new();
    for n in 0..140 {
        let (browser, url) = (browser.clone(), format!("{callback}{n}"));
        flood.spawn(async move { browser.visit(&url).await.status });
    }
    let limited = flood.join_all().await.into_iter().filter(|status| *status == 429).count();
    assert!(limited >= 10, "{limited} of 140 with 120 in a minute");
    assert_eq!(stage.postiz.exchanges().len(), 5);
    let (login, browser, consent, _) = begun_at(&stage, "203.0.113.6").await;
    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}

/// As after a change from registered clients to an app, or if an attacker who can write to the database names a client of theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_the_database_names_gets_no_token_of_a_login_with_an_app() {
    let stage = Stage::new().await;
    let callback = format!("{}/device/callback", stage.balancer.url());
    let metadata = json!({ "client_name": "x", "redirect_uris": [callback], "token_endpoint_auth_method": "none" });
    let url = format!("{}/oauth/register", stage.postiz.api_url());
    let client: Value = http().build().unwrap().post(url).json(&metadata).send().await.unwrap().json().await.unwrap();
    let change = format!("UPDATE device_requests SET postiz_client_id = '{}'", client["client_id"].as_str().unwrap());

    let login = stage.cli().open().await;
    stage.database.run(&change).await;
    let browser = Browser::new();
    let consent = browser.confirm(&login).await;
    assert!(consent.url.as_str().contains("client_id=pcd_tests&"), "{}", consent.url);
    assert_eq!(browser.approve(&consent).await.status, 200);
    assert_eq!(login.decided().await, Poll::Token(stage.postiz.live_token().unwrap()));

    let (login, browser, consent) = stage.at_consent().await;
    stage.database.run(&change).await;
    let page = browser.approve(&consent).await;
    assert_ne!(page.status, 200, "its code is the app's: {}", page.text);
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
}
