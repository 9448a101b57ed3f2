//! Postiz misbehaves at the exchange; the login survives.

use stand_in::Fault;
use tokio::task::JoinSet;

use crate::support::{Poll, Stage};

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

/// An answer that never came: trying again shows that the code was spent, and then approving again helps.
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
