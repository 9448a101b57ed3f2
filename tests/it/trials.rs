//! A new token is tried once at Postiz, beside its delivery.

use std::sync::Arc;

use stand_in::Subscription;
use tokio::sync::Notify;

use crate::support::{Poll, Stage, eventually};

const REFUSED: &str = "Postiz refuses your terminal";

async fn tried(stage: &Stage) {
    eventually("the trial of the token", async || !stage.postiz.trials().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_postiz_refuses_for_want_of_a_subscription_is_no_plain_success() {
    for refused in [true, false] {
        let stage = Stage::with(2, &[]).await;
        if refused {
            stage.postiz.set_subscription(Subscription::Missing);
        }
        let (login, browser, consent) = stage.at_consent().await;
        let page = browser.approve(&consent).await;
        assert_eq!((page.status, page.says(REFUSED), page.says("subscription")), (200, refused, refused));
        let Poll::Token(token) = login.decided().await else { panic!("no token") };
        tried(&stage).await;
        let authorizations: Vec<_> = stage.postiz.trials().into_iter().map(|trial| trial.authorization).collect();
        assert_eq!(authorizations, [token.as_str()], "once, and bare");
        let log = stage.log();
        assert_eq!(log.matches("Postiz refuses the new token").count(), usize::from(refused), "{log}");
        assert!(!log.contains(&token), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_without_an_answer_delays_neither_the_token_nor_the_page_for_long() {
    let stage = Stage::new().await;
    stage.postiz.set_subscription(Subscription::Held(Arc::new(Notify::new())));
    let (login, browser, consent) = stage.at_consent().await;
    let page = tokio::spawn(async move { browser.approve(&consent).await });
    stage.exchange_begun(1).await;
    stage.assert_signed_in(&login).await;
    let page = page.await.unwrap();
    assert!(page.status == 200 && !page.says(REFUSED), "{}", page.text);
    tried(&stage).await;
    let no_answer = "the trial of the token got no answer";
    assert!(!stage.replicas[0].log().contains(no_answer), "nothing has waited for its end");
    stage.replicas[0].logged(no_answer).await;
}
