//! Through PgBouncer in transaction mode: each statement may meet another connection.
//!
//! What is here is about starting that way; `scripts/test` runs the logins' own tests through it, too.

use crate::support::{Database, PgBouncer, Poll, Replica, Stage};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pgbouncer"]
async fn four_replicas_make_the_schema_through_a_transaction_pooler() {
    let pgbouncer = PgBouncer::start().await;
    let mut stage = Stage::empty(Database::behind(&pgbouncer).await, &[]);
    let racing: Vec<Replica> = (0..3).map(|_| Replica::start(stage.variables())).collect();
    stage.start_replica().await;
    for replica in &racing {
        replica.healthy().await;
    }
    stage.database.assert_complete().await;
    let (login, browser, consent) = stage.at_consent().await;
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}
