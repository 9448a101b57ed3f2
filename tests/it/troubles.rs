//! Postiz misbehaves at the exchange; the login survives.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use postiz_auth_server::demo::Fault;
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinSet;

use crate::support::{Poll, Stage};

/// What a person sees within this time, whatever Postiz does.
const SEEN_WITHIN: Duration = Duration::from_secs(12);

/// Plays a case for each fault, side by side: most of it is waiting.
async fn at_once<C: Future<Output = ()> + Send + 'static>(
    faults: impl IntoIterator<Item = Fault>,
    case: impl Fn(Fault) -> C,
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
    ];
    at_once(faults, |fault| async {
        let stage = Stage::new().await;
        let (login, browser, consent) = stage.at_consent().await;
        let callback = browser.approve_only(&consent).await;
        let name = format!("{fault:?}");
        stage.postiz.next_exchanges([fault]);
        let begun = Instant::now();
        let page = browser.visit(&callback).await;
        assert!(begun.elapsed() < SEEN_WITHIN, "{name}");
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
    let faults = [Fault::CodeRefused, Fault::HalfAnswer, Fault::Garbage, Fault::NoToken, Fault::Huge(32 * 1024 * 1024)];
    at_once(faults, |fault| async {
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
    at_once([Fault::ServerErrorAfterSpending, Fault::StallAfterSpending], |fault| async {
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

/// Nobody listens at Postiz's address, then somebody does: the request never arrived, so it is repeated.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_postiz_is_explained_within_twelve_seconds() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://localhost:{}/api", taken.local_addr().unwrap().port());
    drop(taken);
    let stage = Stage::with(1, &[("POSTIZ_API_URL", &nobody)]).await;
    let (login, browser, consent) = stage.at_consent().await;
    let begun = Instant::now();
    let page = browser.approve(&consent).await;
    assert!(begun.elapsed() < SEEN_WITHIN);
    assert!(page.says("can’t be reached") && page.says("Try again"), "{}", page.text);
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
}

/// Accepts, and closes without a word: the request may have arrived, so it is not repeated by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_may_have_arrived_is_not_repeated() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broken = format!("http://localhost:{}/api", listener.local_addr().unwrap().port());
    let requests = Arc::new(AtomicUsize::new(0));
    tokio::spawn({
        let requests = Arc::clone(&requests);
        async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let read = stream.read(&mut [0; 64]).await.unwrap_or_default();
                requests.fetch_add(usize::from(read > 0), Ordering::Relaxed);
            }
        }
    });
    let stage = Stage::with(1, &[("POSTIZ_API_URL", &broken)]).await;
    let (_, browser, consent) = stage.at_consent().await;
    let page = browser.approve(&consent).await;
    assert!(page.says("Try again"), "{}", page.text);
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}
