//! Postiz misbehaves at the exchange; the login survives.

use serde_json::{Value, json};
use stand_in::Fault;
use tokio::task::JoinSet;

use crate::support::{Browser, Login, Page, Poll, Stage, http};

/// Plays a case for each fault, all at the same time: most of it is waiting.
async fn at_once<F: Future<Output = ()> + Send + 'static>(
    faults: impl IntoIterator<Item = Fault>,
    case: impl Fn(Fault) -> F,
) {
    faults.into_iter().map(case).collect::<JoinSet<()>>().join_all().await;
}

/// The code may still be good: the page offers to try the same one again.
#[tokio::test(flavor = "multi_thread")]
async fn where_the_code_may_still_be_good_it_is_tried_again() {
    let faults = [
        Fault::ClientRefused,
        Fault::FrameworkError,
        Fault::BadGateway,
        Fault::ServerError,
        Fault::Redirect("http://localhost:9/".to_owned()),
        Fault::Stall,
        Fault::BreakOff,
        Fault::Reset,
    ];
    at_once(faults, |fault| async move {
        let stage = Stage::new().await;
        let (login, browser, consent) = stage.at_consent().await;
        let callback = browser.approve_only(&consent).await;
        let name = format!("{fault:?}");
        stage.postiz.next_exchanges([fault]);
        let page = browser.visit(&callback).await;
        assert_eq!(page.status, 502, "{name}: {}", page.text);
        assert!(page.says("Try again"), "{name}: {}", page.text);
        assert_eq!(login.poll_form().await, Poll::error("authorization_pending"), "{name}");
        let done = browser.visit(&callback).await;
        assert_eq!(done.status, 200, "{name}: {}", done.text);
        assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token), "{name}");
    })
    .await;
}

/// The code is spent: the page offers to approve again, for the same login.
#[tokio::test(flavor = "multi_thread")]
async fn where_the_code_is_spent_the_same_login_is_approved_again() {
    let faults = [
        Fault::CodeRefused,
        Fault::Page,
        Fault::HalfAnswer,
        Fault::Garbage,
        Fault::NoToken,
        Fault::Huge(32 * 1024 * 1024),
    ];
    at_once(faults, |fault| async move {
        let stage = Stage::new().await;
        let (login, browser, consent) = stage.at_consent().await;
        let name = format!("{fault:?}");
        stage.postiz.next_exchanges([fault]);
        let callback = browser.approve_only(&consent).await;
        let page = browser.visit(&callback).await;
        assert_eq!(page.status, 502, "{name}: {}", page.text);
        assert!(page.says("Approve again"), "{name}: {}", page.text);
        let exchanges = stage.postiz.exchanges().len();
        let reloaded = browser.visit(&callback).await;
        assert!(reloaded.says("Approve again"), "{name}: {}", reloaded.text);
        assert_eq!(stage.postiz.exchanges().len(), exchanges, "{name}: a spent code is not sent again");
        let consent = browser.submit(&page, &[]).await;
        let done = browser.approve(&consent).await;
        assert_eq!(done.status, 200, "{name}: {}", done.text);
        assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token), "{name}");
    })
    .await;
}

/// Postiz spends the code and sends no answer. A retry finds out, and the person approves again.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_spent_in_silence_is_found_out() {
    let faults = [
        Fault::ServerErrorAfterSpending,
        Fault::StallAfterSpending,
        Fault::BreakOffAfterSpending,
        Fault::ResetAfterSpending,
    ];
    at_once(faults, |fault| async move {
        let stage = Stage::new().await;
        let (login, browser, consent) = stage.at_consent().await;
        stage.postiz.next_exchanges([fault]);
        let callback = browser.approve_only(&consent).await;
        assert!(browser.visit(&callback).await.says("Try again"));
        let page = browser.visit(&callback).await;
        assert!(page.says("Approve again"), "{}", page.text);
        let consent = browser.submit(&page, &[]).await;
        browser.approve(&consent).await;
        assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_types_in_a_good_answer_do_no_harm() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    stage.postiz.next_exchanges([Fault::OddlyTyped]);
    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
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

/// Closed without a word: the request may have arrived, so it is not repeated by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_may_have_arrived_is_not_repeated() {
    for fault in [Fault::BreakOff, Fault::Reset] {
        let stage = Stage::new().await;
        let (_, browser, consent) = stage.at_consent().await;
        stage.postiz.next_exchanges([fault]);
        let page = browser.approve(&consent).await;
        assert!(page.says("Try again"), "{}", page.text);
        assert_eq!(stage.postiz.exchanges().len(), 1);
    }
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

/// An attacker who can write to the database registers a client at Postiz, and writes it into the row of a login with an app.
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
    assert_ne!(browser.approve(&consent).await.status, 200, "its code is the app's");

    let (login, browser, consent) = stage.at_consent().await;
    stage.database.run(&change).await;
    let page = browser.approve(&consent).await;
    assert_ne!(page.status, 200, "{}", page.text);
    assert_eq!(stage.database.count("device_requests WHERE sealed_token IS NOT NULL").await, 0);
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
}
