//! The operator ends logins, and their terminals hear of it.

use std::sync::Arc;

use stand_in::Fault;
use tokio::process::Command;
use tokio::sync::Notify;

use crate::support::{Browser, Login, Poll, Stage, held_on, in_time};

/// Runs `revoke` beside the servers: its exit code, and what it said.
pub async fn revoke(stage: &mut Stage, which: &str) -> (Option<i32>, String) {
    revoke_by(env!("CARGO_BIN_EXE_postiz-auth-server"), stage, which).await
}

pub async fn revoke_by(program: &str, stage: &mut Stage, which: &str) -> (Option<i32>, String) {
    let mut command = Command::new(program);
    let run = command.args(["revoke", which]).env_clear().envs(stage.variables()).kill_on_drop(true).output();
    let output = in_time("`revoke` to end", run).await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn expired() -> Poll {
    Poll::error("expired_token")
}

/// A poll that waits.
fn waiting(login: &Login) -> tokio::task::JoinHandle<Poll> {
    let login = login.clone();
    tokio::spawn(async move { login.poll().await })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_login_is_revoked_by_its_user_code_and_its_held_poll_is_answered_at_once() {
    let mut stage = Stage::with(2, &[]).await;
    let (ended, other) = (stage.cli().open().await, stage.cli().open().await);
    let at_a = ended.at(&stage.replicas[0].url());
    let held = waiting(&at_a);
    held_on(&stage, 1).await;
    let code = ended.user_code.to_lowercase();
    let (exit, said) = revoke(&mut stage, &code).await;
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.starts_with("revoked ") && said.contains("Logins revoked: 1."), "{said}");
    // One answer, not "pending" and another poll.
    assert_eq!(held.await.unwrap(), expired());
    assert_eq!(ended.poll_form().await, expired());
    assert_eq!(other.poll_form().await, Poll::error("authorization_pending"), "nobody else is touched");
    let page = Browser::new().visit(&format!("{}?code={}", ended.verification_uri, ended.user_code)).await;
    assert!(page.says("This code has expired"), "{}", page.text);
    let (exit, said) = revoke(&mut stage, &code).await;
    assert_eq!((exit, said.contains("No login under way")), (Some(1), true), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_at_postiz_has_no_effect_after_a_revocation_by_reference() {
    let mut stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let id = stage.database.rows("SELECT encode(substr(id, 1, 4), 'hex') FROM device_requests").await;
    let reference: String = id[0].get(0);
    let (exit, said) = revoke(&mut stage, &reference).await;
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains(&format!("revoked {reference}\n")), "{said}");
    let late = browser.approve(&consent).await;
    assert!(late.says("no longer valid"), "{}", late.text);
    assert_eq!(stage.postiz.exchanges().len(), 0);
    assert_eq!(login.poll().await, expired());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pending_logins_are_ended_and_those_that_are_done_are_not() {
    let mut stage = Stage::with(2, &[]).await;
    let (delivered, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    let token = delivered.decided().await;
    let (approved, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    let opened = stage.cli().open().await;
    // In the middle of its exchange.
    let release = Arc::new(Notify::new());
    let (exchanging, browser, consent) = stage.at_consent().await;
    stage.postiz.next_exchanges([Fault::Hold(Arc::clone(&release))]);
    let approving = tokio::spawn(async move { browser.approve(&consent).await });
    stage.exchange_begun(3).await;

    let (exit, said) = revoke(&mut stage, "--all-pending").await;
    assert_eq!((exit, said.contains("Logins revoked: 3.")), (Some(0), true), "{said}");
    release.notify_one();
    let page = approving.await.unwrap();
    assert!(page.says("no longer valid"), "{}", page.text);
    for login in [&approved, &opened, &exchanging] {
        assert_eq!(login.poll().await, expired());
    }
    assert_eq!(delivered.poll().await, token, "what is delivered can still be had again");
    let (exit, said) = revoke(&mut stage, "--all-pending").await;
    assert_eq!((exit, said.contains("Logins revoked: 0.")), (Some(0), true), "{said}");
    assert_eq!(stage.database.count("device_requests WHERE sealed_token IS NOT NULL").await, 1, "its tokens are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_without_a_database_says_so() {
    let mut stage = Stage::new().await;
    let unavailable = format!("postgres://x@localhost:{}/x", crate::support::free_port());
    stage.variables().insert("DATABASE_URL", unavailable);
    let (exit, said) = revoke(&mut stage, "--all-pending").await;
    assert_eq!(exit, Some(1));
    assert!(said.contains("Nothing was revoked: the database is unavailable"), "{said}");
}
