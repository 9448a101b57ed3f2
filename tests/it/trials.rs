//! A new token is tried once at Postiz, beside its delivery.

use std::sync::Arc;

use stand_in::Subscription;
use tokio::sync::Notify;

use crate::support::{Poll, Replica, Stage, eventually};

const REFUSED: &str = "Postiz refuses your terminal";

async fn tried(stage: &Stage) {
    eventually("the trial of the token", async || !stage.postiz.trials().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_postiz_refuses_for_want_of_a_subscription_is_no_plain_success() {
    let stage = Stage::with(2, &[]).await;
    stage.postiz.set_subscription(Subscription::Missing);
    let (login, browser, consent) = stage.at_consent().await;
    let page = browser.approve(&consent).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.says(REFUSED) && page.says("subscription"), "{}", page.text);
    let Poll::Token(token) = login.decided().await else { panic!("no token") };
    let authorizations: Vec<_> = stage.postiz.trials().into_iter().map(|trial| trial.authorization).collect();
    assert_eq!(authorizations, [token.as_str()], "once, and bare");
    let logs: String = stage.replicas.iter().map(Replica::log).collect();
    assert_eq!(logs.matches("Postiz refuses the new token").count(), 1, "{logs}");
    assert!(!logs.contains(&token), "{logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_postiz_accepts_is_plain_success() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let page = browser.approve(&consent).await;
    assert!(!page.says(REFUSED), "{}", page.text);
    login.decided().await;
    tried(&stage).await;
    assert!(!stage.replicas[0].log().contains("Postiz refuses the new token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_without_an_answer_delays_neither_the_token_nor_the_page_for_long() {
    let stage = Stage::new().await;
    stage.postiz.set_subscription(Subscription::Held(Arc::new(Notify::new())));
    let (login, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    let page = tokio::spawn(async move { browser.visit(&callback).await });
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
    let page = page.await.unwrap();
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(!page.says(REFUSED), "{}", page.text);
    tried(&stage).await;
    assert!(
        !stage.replicas[0].log().contains("the trial of the token got no answer"),
        "nothing has waited for its end"
    );
    stage.replicas[0].logged("the trial of the token got no answer").await;
}
