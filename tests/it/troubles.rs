//! Postiz misbehaves at the exchange; the login survives.

use serde_json::{Value, json};
use stand_in::Fault;
use tokio::task::JoinSet;
use url::Url;

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
async fn three_codes_of_a_login_are_exchanged_and_no_more() {
    let stage = Stage::with(2, &[]).await;
    let (login, browser, consent, callback) = begun_at(&stage, "203.0.113.5").await;
    for (code, words) in [
        ("one", "Approve again"),
        ("two", "Approve again"),
        // Another approval would only sign the person's other machines out.
        ("three", "no longer valid"),
        ("three", "no longer valid"),
        ("one", "no longer valid"),
        ("four", "no longer valid"),
    ] {
        let page = browser.visit(&format!("{callback}{code}")).await;
        assert!(page.says(words), "{code}: {}", page.text);
    }
    assert!(browser.approve(&consent).await.says("no longer valid"));
    assert_eq!(stage.postiz.exchanges().len(), 3);
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
}

#[tokio::test(flavor = "multi_thread")]
async fn past_ten_refused_codes_a_network_sends_nothing_to_postiz_and_another_one_logs_in() {
    let stage = Stage::new().await;
    for login in 0..3 {
        let (_, browser, _, callback) = begun_at(&stage, "203.0.113.5").await;
        for code in 0..3 {
            browser.visit(&format!("{callback}{login}-{code}")).await;
        }
    }
    let (ended, _, _, callback) = begun_at(&stage, "203.0.113.5").await;
    Browser::at("203.0.113.5").visit(&format!("{callback}in-another-browser")).await;
    assert_eq!(ended.poll_form().await, Poll::error("access_denied"));
    stage.exchange_begun(10).await;

    let (login, browser, consent, _) = begun_at(&stage, "203.0.113.5").await;
    let callback = browser.approve_only(&consent).await;
    for _ in 0..2 {
        let page = browser.visit(&callback).await;
        assert_eq!(page.status, 429, "{}", page.text);
        let wait: u64 = page.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=600).contains(&wait), "{wait}");
        assert_eq!(page.url, Url::parse(&callback).unwrap(), "the same address works later");
    }
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
    let (ended, _, _, other) = begun_at(&stage, "203.0.113.5").await;
    Browser::at("203.0.113.5").visit(&format!("{other}in-another-browser")).await;
    assert_eq!(ended.poll_form().await, Poll::error("access_denied"), "it ends all the same");
    assert_eq!(stage.postiz.exchanges().len(), 10);

    let (login, browser, consent, _) = begun_at(&stage, "203.0.113.6").await;
    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_that_succeed_count_against_no_budget() {
    let stage = Stage::new().await;
    for _ in 0..12 {
        let (login, browser, consent, _) = begun_at(&stage, "203.0.113.5").await;
        let page = browser.approve(&consent).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
    }
}

/// Somebody who can write to the database wants the token of a login that is under way.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_in_the_database_gets_no_token() {
    let swap = "UPDATE device_requests SET state = NULL, browser = NULL WHERE status = 'authorizing';
                UPDATE device_requests SET status = 'authorizing', state = old.state, browser = old.browser
                FROM saved AS old WHERE device_requests.status = 'pending'";
    for change in [
        "UPDATE device_requests SET sealing_key = sha256('of the attacker')",
        "UPDATE device_requests SET sealing_key = sha256('of the attacker'), mac = NULL",
        "UPDATE device_requests SET mac = NULL, opened_at = now() - interval '1 hour'",
        "UPDATE device_requests SET requester = '198.51.100.1'",
        // A row of the attacker's own, with a right MAC, takes the victim's callback.
        swap,
    ] {
        let stage = Stage::new().await;
        let (login, browser, consent) = stage.at_consent().await;
        stage.cli().open().await;
        stage.database.run("CREATE TABLE saved AS SELECT * FROM device_requests WHERE status = 'authorizing'").await;
        stage.database.run(change).await;
        let page = browser.approve(&consent).await;
        assert!(page.says("no longer valid"), "{change}: {}", page.text);
        assert_eq!(stage.postiz.exchanges().len(), 0, "{change}");
        let line = stage.replicas[0].logged("row was changed").await;
        assert_eq!(line["level"], "ERROR", "{line}");
        assert_eq!(stage.database.count("device_requests WHERE status = 'denied'").await, 1, "{change}");
        if change != swap {
            assert_eq!(login.poll_form().await, Poll::error("access_denied"), "{change}");
        }
    }
}

/// An attacker who can write to the database registers a client at Postiz, and writes it into the row of a login with an app.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_the_database_names_gets_no_token_of_a_login_with_an_app() {
    let stage = Stage::new().await;
    let callback = format!("{}/device/callback", stage.balancer.url());
    let metadata = json!({ "client_name": "x", "redirect_uris": [callback], "token_endpoint_auth_method": "none" });
    let url = format!("{}/oauth/register", stage.postiz.api_url());
    let client: Value = http().build().unwrap().post(url).json(&metadata).send().await.unwrap().json().await.unwrap();
    let change = format!(
        "UPDATE device_requests SET sealing_key = sha256('of the attacker'), mac = NULL, postiz_client_id = '{}'",
        client["client_id"].as_str().unwrap()
    );

    let login = stage.cli().open().await;
    stage.database.run(&change).await;
    let browser = Browser::new();
    let consent = browser.confirm(&login).await;
    assert!(consent.url.as_str().contains("client_id=pcd_tests&"), "{}", consent.url);
    assert!(browser.approve(&consent).await.says("no longer valid"));

    let (login, browser, consent) = stage.at_consent().await;
    stage.database.run(&change).await;
    let page = browser.approve(&consent).await;
    assert!(page.says("Approve again"), "{}", page.text);
    assert_eq!(stage.database.count("device_requests WHERE sealed_token IS NOT NULL").await, 0);
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
}
