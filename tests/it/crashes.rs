//! A replica dies between any two steps of a login; another one finishes it.

use std::sync::Arc;

use stand_in::Fault;
use strum::IntoEnumIterator as _;
use tokio::sync::Notify;

use crate::support::{Browser, Page, Poll, Stage, eventually, held_on};

/// What a replica does for a login, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumIter)]
enum Last {
    OpensTheLogin,
    ShowsTheCodePage,
    HoldsThePoll,
    SendsThePersonToPostiz,
    DeniesTheLogin,
    SendsTheExchange,
    IsGrantedTheToken,
    StoresTheToken,
    DeliversTheToken,
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_finishes_the_login_after_every_step() {
    for last in Last::iter() {
        finishes_after(last).await;
    }
}

/// Two replicas, of which the first serves everybody until it dies.
struct Dying {
    stage: Stage,
    last: Last,
}

impl Dying {
    /// The replica has done this now; kills it if it was the last thing.
    fn has(&mut self, done: Last) {
        if done == self.last {
            self.stage.replicas[0].kill();
            self.stage.balancer.only(self.stage.replicas[1].port());
        }
    }
}

async fn finishes_after(last: Last) {
    let stage = Stage::with(2, &[]).await;
    stage.balancer.only(stage.replicas[0].port());
    let mut dying = Dying { stage, last };
    let login = dying.stage.cli().open().await;
    dying.has(Last::OpensTheLogin);

    let browser = Browser::new();
    let page = browser.visit(&format!("{}?code={}", login.verification_uri, login.user_code)).await;
    dying.has(Last::ShowsTheCodePage);

    let terminal = (last == Last::HoldsThePoll).then(|| {
        let login = login.clone();
        tokio::spawn(async move { login.decided_at_last().await })
    });
    if terminal.is_some() {
        held_on(&dying.stage, 1).await;
    }
    dying.has(Last::HoldsThePoll);

    if last == Last::DeniesTheLogin {
        browser.press(&page, ("action", "deny"), &[]).await;
        dying.has(last);
        assert_eq!(login.poll().await, Poll::error("access_denied"));
        return;
    }
    let consent = browser.press(&page, ("action", "continue"), &[]).await;
    dying.has(Last::SendsThePersonToPostiz);

    let callback = browser.approve_only(&consent).await;
    let page = if matches!(last, Last::SendsTheExchange | Last::IsGrantedTheToken) {
        in_mid_exchange(&mut dying, &browser, callback).await
    } else {
        browser.visit(&callback).await
    };
    assert_eq!(page.status, 200, "{last:?}: {}", page.text);
    dying.has(Last::StoresTheToken);

    let token = Poll::Token(dying.stage.postiz.live_token().unwrap());
    if last == Last::DeliversTheToken {
        assert_eq!(login.decided().await, token);
        dying.has(last);
    }
    let answer = match terminal {
        Some(terminal) => terminal.await.unwrap(),
        None => login.decided().await,
    };
    assert_eq!(answer, token, "{last:?}");
}

/// Kills the replica while Postiz keeps it waiting, before or after the code is spent; returns the last page.
async fn in_mid_exchange(dying: &mut Dying, browser: &Browser, callback: String) -> Page {
    let never = Arc::new(Notify::new());
    let spent = dying.last == Last::IsGrantedTheToken;
    dying.stage.postiz.next_exchanges([if spent { Fault::HoldAfterSpending(never) } else { Fault::Hold(never) }]);
    let tab = tokio::spawn({
        let (browser, callback) = (browser.clone(), callback.clone());
        async move { browser.visit(&callback).await }
    });
    dying.stage.exchange_begun(1).await;
    if spent {
        eventually("a token", async || !dying.stage.postiz.tokens_issued().is_empty()).await;
    }
    dying.has(dying.last);
    tab.abort();
    dying.stage.database.run("UPDATE device_requests SET leased_until = now()").await;
    let page = browser.visit(&callback).await;
    if !spent {
        return page;
    }
    assert!(page.says("Approve again"), "{}", page.text);
    let consent = browser.submit(&page, &[]).await;
    browser.approve(&consent).await
}
