//! Two Postgres servers: the primary is lost, and its synchronous standby takes over.

use postiz_auth_server::db::DatabaseError;
use stand_in::Postgres;

use crate::rolling::Crowd;
use crate::support::{Browser, Cli, Database, Poll, Stage, connect, eventually, new_grant};

struct Pair {
    primary: Postgres,
    standby: Postgres,
}

impl Pair {
    /// A commit ends when the standby has it too.
    async fn start() -> Self {
        let (primary, standby) = tokio::task::spawn_blocking(|| {
            let primary = Postgres::start(&[]).unwrap();
            let standby = primary.standby().unwrap();
            (primary, standby)
        })
        .await
        .unwrap();
        let admin = connect(&primary.url("postgres")).await;
        admin.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await.unwrap();
        admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let state = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
        let synchronous = async || !admin.query_typed(state, &[]).await.unwrap().is_empty();
        eventually("a synchronous standby", synchronous).await;
        Self { primary, standby }
    }

    /// As an operator writes it who does not know which of the two will be the primary.
    fn url(&self) -> String {
        let second = format!(",127.0.0.1:{}/postgres?target_session_attrs=read-write", self.standby.port());
        self.primary.url("postgres").replace("/postgres", &second)
    }

    async fn promote(&self) {
        connect(&self.standby.url("postgres")).await.batch_execute("SELECT pg_promote()").await.unwrap();
    }

    /// Two replicas on it. The test's own statements go to the standby.
    async fn stage(&self) -> Stage {
        let variables = [("DATABASE_URL", &*self.url()), ("RATE_LIMIT_CODES", "0")];
        let mut stage = Stage::empty(Database::at(self.standby.url("postgres")), &variables);
        stage.start_replica().await;
        stage.start_replica().await;
        stage
    }
}

/// Each step is repeated until it succeeds.
async fn log_in(cli: Cli) -> String {
    let (login, browser) = (cli.open_at_last().await, Browser::new());
    let held = login.clone();
    let held = tokio::spawn(async move { held.decided_at_last().await });
    let consent = browser.confirm_at_last(&login).await;
    let done = browser.visit_at_last(&browser.approve_only(&consent).await).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let Poll::Token(token) = held.await.unwrap() else { panic!("no token") };
    token
}

/// The primary goes in the way that `lose` says while people log in; everyone who has approved gets the token.
async fn lose_the_primary(lose: impl FnOnce(&Postgres)) {
    let pair = Pair::start().await;
    let stage = pair.stage().await;
    let (waiting, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    let token = stage.postiz.live_token().unwrap();
    let (begun, person, begun_consent) = stage.at_consent().await;
    let held = tokio::spawn(async move { begun.decided_at_last().await });

    let cli = stage.cli();
    let crowd = Crowd::start(3, move || log_in(cli.clone()));
    crowd.more().await;

    lose(&pair.primary);
    for replica in &stage.replicas {
        replica.health_is(503).await;
    }
    pair.promote().await;
    for replica in &stage.replicas {
        replica.healthy().await;
    }
    for token in crowd.go_home().await {
        assert!(stage.postiz.is_live(&token), "the terminal got the token that works");
    }
    assert_eq!(waiting.decided().await, Poll::Token(token), "approved before, delivered after");
    person.approve(&begun_consent).await;
    assert_eq!(held.await.unwrap(), Poll::Token(stage.postiz.live_token().unwrap()));
    for code in stage.postiz.exchanges() {
        assert!(code.granted, "no code was exchanged twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_approved_login_outlives_the_primary() {
    lose_the_primary(|primary| primary.stop_immediate().unwrap()).await;
}

/// Its machine is gone from the network: connections to it neither break nor are refused.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ps"]
async fn every_approved_login_outlives_a_primary_that_hangs() {
    lose_the_primary(|primary| primary.pause().unwrap()).await;
}

/// As where a managed service switches roles: the old primary lives, keeps its connections, and only reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_only_reads_is_left_for_the_new_one() {
    let pair = Pair::start().await;
    let stage = pair.stage().await;
    let (login, browser, consent) = stage.at_consent().await;
    let held = tokio::spawn({
        let at = login.at(&stage.replicas[1].url());
        async move { at.decided().await }
    });
    stage.balancer.only(stage.replicas[0].port());
    read_only(&pair.primary, true).await;
    pair.promote().await;
    let old = Database::at(pair.primary.url("postgres"));
    let ours = "pg_stat_activity WHERE application_name = 'postiz-auth-server'";
    let left = async || {
        // As a balancer asks, again and again.
        for replica in &stage.replicas {
            replica.health().await;
        }
        old.count(ours).await == 0
    };
    eventually("no connection to the old primary to be kept", left).await;
    for replica in &stage.replicas {
        replica.healthy().await;
    }
    browser.approve(&consent).await;
    assert_eq!(held.await.unwrap(), Poll::Token(stage.postiz.live_token().unwrap()));
    assert_eq!(stage.database.count("device_requests").await, 1, "it is on the new primary");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_only_reads_is_not_healthy() {
    let postgres = tokio::task::spawn_blocking(|| Postgres::start(&[]).unwrap()).await.unwrap();
    let mut stage = Stage::empty(Database::at(postgres.url("postgres")), &[]);
    stage.start_replica().await;
    let (login, browser, consent) = stage.at_consent().await;
    read_only(&postgres, true).await;
    stage.replicas[0].health_is(503).await;
    assert_eq!(login.poll().await, Poll::error("authorization_pending"));
    let callback = browser.approve_only(&consent).await;
    assert!(browser.visit(&callback).await.says("One moment"));
    read_only(&postgres, false).await;
    stage.replicas[0].healthy().await;
    assert_eq!(browser.visit(&callback).await.status, 200);
    assert_eq!(login.decided().await, Poll::Token(stage.postiz.live_token().unwrap()));
}

/// Turns writing off or on, also in the sessions that are there.
async fn read_only(postgres: &Postgres, on: bool) {
    let admin = connect(&postgres.url("postgres")).await;
    let value = if on { "on" } else { "off" };
    admin.batch_execute("SET default_transaction_read_only = off").await.unwrap();
    admin.batch_execute(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}")).await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
}

/// What it knows may be over, and it may not know the latest.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_tells_nothing_of_a_grant() {
    let pair = Pair::start().await;
    let store = Database::at(pair.primary.url("postgres")).store();
    store.database().migrate().await.unwrap();
    let (device_code, user_code) = store.open(&new_grant()).await.unwrap();
    let url = pair.standby.url("postgres");
    let standby = connect(&url).await;
    let grants = async || standby.query_typed("SELECT FROM device_requests", &[]).await;
    eventually("the grant on the standby", async || grants().await.is_ok_and(|rows| rows.len() == 1)).await;
    let on_standby = Database::at(url).store();
    // On a slow machine, the last of the attempts is cut short by the limit.
    let not_now = |error| matches!(error, DatabaseError::Unavailable | DatabaseError::Temporary);
    assert!(on_standby.look_up(device_code.grant_id(), false, None).await.is_err_and(not_now));
    assert!(on_standby.view(user_code, None, None).await.is_err_and(not_now));
}
