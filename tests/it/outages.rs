//! Ten seconds in which nobody listens on Postgres' port.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stand_in::{Fault, Postgres};
use tokio::sync::Notify;
use tokio::time::sleep_until;

use crate::support::{Browser, Database, Login, Poll, Stage};

const OUTAGE: Duration = Duration::from_secs(10);

/// Polls until then. Each answer is "pending".
async fn goes_on(login: Login, until: Instant) {
    let pending = Poll::error("authorization_pending");
    while Instant::now() < until {
        for answer in [login.poll_form().await, login.poll().await] {
            // One that was under way at the end may be answered by the restarted server.
            assert!(answer == pending || Instant::now() >= until, "{answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_seconds_of_refusal_lose_no_login() {
    let postgres = tokio::task::spawn_blocking(|| Postgres::start(&[]).unwrap()).await.unwrap();
    let mut stage = Stage::empty(Database::at(postgres.url("postgres")), &[]);
    stage.start_replica().await;
    stage.start_replica().await;

    // One login for each state.
    let opened = stage.cli().open().await;
    let (denied, browser, consent) = stage.at_consent().await;
    browser.press(&consent, ("decision", "deny"), &[]).await;
    let (approved, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    let approved_token = stage.postiz.live_token().unwrap();
    let (begun, begun_in, begun_consent) = stage.at_consent().await;
    let (exchanged, exchanged_in, consent) = stage.at_consent().await;
    let callback = exchanged_in.approve_only(&consent).await;
    let release = Arc::new(Notify::new());
    stage.postiz.next_exchanges([Fault::Hold(Arc::clone(&release))]);
    let tab = tokio::spawn({
        let (browser, callback) = (exchanged_in.clone(), callback.clone());
        async move { browser.visit(&callback).await }
    });
    stage.exchange_begun(2).await;

    postgres.stop_fast().unwrap();
    let since = Instant::now();
    let until = since + OUTAGE;
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", postgres.port())).await.is_err());
    let terminals =
        [&opened, &begun, &exchanged, &approved, &denied].map(|login| tokio::spawn(goes_on(login.clone(), until)));

    // Postiz grants the token in the midst of it.
    release.notify_one();
    let page = tab.await.unwrap();
    assert!(page.status == 503 && page.says("One moment"), "{}", page.text);
    let exchanged_token = stage.postiz.live_token().unwrap();
    let page = Browser::new().visit(&format!("{}?code={}", opened.verification_uri, opened.user_code)).await;
    assert!(page.status == 503 && page.says("One moment"), "{}", page.text);
    for replica in &stage.replicas {
        replica.health_is(503).await;
    }

    // A new terminal is kept waiting for some seconds, in case Postgres comes back.
    let asked = Instant::now();
    let answer = stage.cli().send("/device/code", "application/json", String::new()).await;
    assert_eq!(answer.status(), 503);
    assert!((Duration::from_secs(4)..Duration::from_secs(12)).contains(&asked.elapsed()), "{:?}", asked.elapsed());

    sleep_until(until.into()).await;
    let (cli, code_page) = (stage.cli(), format!("{}?code={}", opened.verification_uri, opened.user_code));
    let opening = tokio::spawn(async move { cli.open().await });
    let looking_in = Browser::new();
    let looking = tokio::spawn({
        let browser = looking_in.clone();
        async move { browser.visit_at_last(&code_page).await }
    });
    postgres.start_again().unwrap();
    for terminal in terminals {
        terminal.await.unwrap();
    }
    opening.await.unwrap();

    assert_eq!(denied.decided().await, Poll::error("access_denied"));
    assert_eq!(approved.decided().await, Poll::Token(approved_token));
    assert_eq!(exchanged.decided().await, Poll::Token(exchanged_token));
    assert!(exchanged_in.visit(&callback).await.says("Your terminal is signed in"));
    assert_eq!(stage.postiz.exchanges().len(), 2, "what was granted is not exchanged again");
    begun_in.approve(&begun_consent).await;
    assert_eq!(begun.decided().await, Poll::Token(stage.postiz.live_token().unwrap()));
    let consent = looking_in.press(&looking.await.unwrap(), ("action", "continue"), &[]).await;
    looking_in.approve(&consent).await;
    assert_eq!(opened.decided().await, Poll::Token(stage.postiz.live_token().unwrap()));
    for replica in &stage.replicas {
        replica.healthy().await;
    }
}
