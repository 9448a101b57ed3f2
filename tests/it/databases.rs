//! PostgreSQL starts late, is unavailable for a time, or restarts, and replicas stop.

use std::cell::Cell;
use std::sync::Arc;

use serde_json::Value;
use stand_in::{Fault, Postgres};
use tokio::sync::Notify;

use crate::support::{Browser, Database, Poll, Replica, Stage, eventually, held_on};

async fn own_cluster() -> Postgres {
    tokio::task::spawn_blocking(|| Postgres::start(&[]).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_servers_table_is_taken_over() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE device_requests (device_code TEXT PRIMARY KEY, user_code TEXT, status TEXT,
                 access_token TEXT, api_url TEXT, organization_id TEXT, created_at TIMESTAMPTZ DEFAULT now());
             INSERT INTO device_requests VALUES ('plain', 'ABCD-EFGH', 'approved', 'pos_plain', NULL, NULL, now());",
        )
        .await;
    let mut stage = Stage::empty(database, &[]);
    stage.start_replica().await;
    let (login, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
    assert!(!stage.database.dump().contains("pos_plain"));
}

/// Logins that expire after `remaining`.
async fn fill(stage: &Stage, rows: u32, remaining: &str) {
    let sql = format!(
        "INSERT INTO device_requests (id, user_code, sealing_key, verifier_salt, interval_seconds, expires_at)
         SELECT sha256(n::text::bytea), lpad(n::text, 8, '0'), sha256('key'), sha256('salt'), 1, now() + interval '{remaining}'
         FROM generate_series(1, {rows}) AS n"
    );
    stage.database.run(&sql).await;
}

/// Also with a plan that was made while the table was empty.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_reads_no_more_rows_while_many_others_wait() {
    let stage = Stage::new().await;
    stage.assert_works().await;
    fill(&stage, 20_000, "1 hour").await;
    stage.assert_works().await;
    let (read, delivered) = ("pg_stat_user_tables WHERE relname = 'device_requests' AND", "n_tup_upd >= 8");
    eventually("statistics", async || stage.database.count(&format!("{read} {delivered}")).await == 1).await;
    let few = "seq_tup_read + idx_tup_fetch < 2000";
    assert_eq!(stage.database.count(&format!("{read} {few}")).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn started_before_its_database_it_serves_as_soon_as_there_is_one() {
    let postgres = own_cluster().await;
    postgres.stop_fast().unwrap();
    let mut stage = Stage::empty(Database::at(postgres.url("postgres")), &[]);
    let replica = Replica::start(stage.variables());
    replica.health_is(503).await;
    assert_eq!(crate::support::get(format!("{}/health/live", replica.url())).await.status(), 200);
    postgres.start_again().unwrap();
    replica.healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_survives_a_crash_of_postgres() {
    let postgres = own_cluster().await;
    let mut stage = Stage::empty(Database::at(postgres.url("postgres")), &[]);
    stage.start_replica().await;
    let (login, browser, consent) = stage.at_consent().await;
    postgres.stop_immediate().unwrap();

    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"), "the terminal goes on");
    assert_eq!(login.poll().await, Poll::error("authorization_pending"));
    stage.replicas[0].health_is(503).await;
    let page = Browser::new().visit(&format!("{}?code={}", login.verification_uri, login.user_code)).await;
    assert_eq!(page.status, 503);
    assert!(page.says("One moment"), "{}", page.text);
    let refused = stage.cli().send("/device/code", "application/json", String::new()).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.json::<Value>().await.unwrap()["error"], "temporarily_unavailable");

    // A terminal that starts now is served once Postgres is back.
    let cli = stage.cli();
    let opening = tokio::spawn(async move { cli.open().await });
    postgres.start_again().unwrap();
    opening.await.unwrap();
    stage.replicas[0].healthy().await;
    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_granted_while_postgres_is_unavailable_is_stored_later() {
    let postgres = own_cluster().await;
    let mut stage = Stage::empty(Database::at(postgres.url("postgres")), &[]);
    stage.start_replica().await;
    let (login, browser, consent) = stage.at_consent().await;
    let release = Arc::new(Notify::new());
    stage.postiz.next_exchanges([Fault::Hold(Arc::clone(&release))]);
    let approving = tokio::spawn(async move { browser.approve(&consent).await });
    stage.exchange_begun(1).await;
    postgres.stop_fast().unwrap();
    release.notify_one();
    let page = approving.await.unwrap();
    assert!(page.says("One moment"), "{}", page.text);
    postgres.start_again().unwrap();
    assert_eq!(login.decided().await, Poll::Token(stage.postiz.live_token().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ps"]
async fn a_hanging_connection_delays_a_login_by_seconds_only() {
    let postgres = own_cluster().await;
    let mut stage = Stage::empty(Database::at(postgres.url("postgres")), &[]);
    stage.start_replica().await;
    let login = stage.cli().open().await;
    postgres.pause().unwrap();
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
    postgres.resume().unwrap();
    stage.replicas[0].healthy().await;
    let page = Browser::new().visit(&format!("{}?code={}", login.verification_uri, login.user_code)).await;
    assert!(page.says(&login.user_code), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_held_polls_and_ends_well() {
    for (signal, drain) in [("TERM", "0"), ("INT", "0"), ("TERM", "1")] {
        let mut stage = Stage::with(1, &[("DRAIN_SECONDS", drain)]).await;
        let login = stage.cli().open().await;
        let held = tokio::spawn(async move { login.poll().await });
        let replica = stage.replicas.pop().unwrap();
        held_on(&stage, 1).await;
        replica.signal(signal);
        assert_eq!(held.await.unwrap(), Poll::error("authorization_pending"));
        assert_eq!(replica.ended().await.code(), Some(0), "{signal}, drained for {drain} s");
    }
}

/// Of what a balancer sees, the 503 comes before the refusal.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_announced_before_connections_are_refused() {
    let mut stage = Stage::new().await;
    let replica = stage.replicas.pop().unwrap();
    let (http, url) = (crate::support::http().build().unwrap(), format!("{}/health", replica.url()));
    assert_eq!(http.get(&url).send().await.unwrap().status(), 200);
    replica.signal("TERM");
    let announced = Cell::new(false);
    let refused = async || {
        let Ok(answer) = http.get(&url).send().await else { return true };
        if answer.status() == 503 {
            announced.set(true);
            assert_eq!(answer.headers()["connection"], "close", "what follows has to go elsewhere");
            assert_eq!(answer.text().await.unwrap(), r#"{"status":"stopping"}"#);
        }
        false
    };
    eventually("the replica to refuse connections", refused).await;
    assert!(announced.get());
    assert_eq!(replica.ended().await.code(), Some(0));
}

/// For balancers that are slow to notice: the first signal only changes `/health`.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_serves_everything_while_health_says_no() {
    let mut stage = Stage::with(1, &[("DRAIN_SECONDS", "300")]).await;
    let (login, browser, consent) = stage.at_consent().await;
    let held = tokio::spawn({
        let login = login.clone();
        async move { login.poll().await }
    });
    held_on(&stage, 1).await;
    stage.replicas[0].signal("TERM");
    stage.replicas[0].health_is(503).await;
    assert_eq!(crate::support::get(format!("{}/health/live", stage.replicas[0].url())).await.status(), 200);
    let late = stage.cli().open().await;
    assert_eq!(late.poll_form().await, Poll::error("authorization_pending"), "a login that begins now is served");
    browser.approve(&consent).await;
    assert_eq!(held.await.unwrap(), Poll::Token(stage.postiz.live_token().unwrap()), "and one that waits ends well");
    let replica = stage.replicas.pop().unwrap();
    replica.signal("TERM");
    assert_eq!(replica.ended().await.code(), Some(130), "a second signal does not wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_of_a_callback_finishes_it() {
    let mut stage = Stage::with(2, &[]).await;
    let first = stage.replicas.remove(0);
    stage.balancer.only(first.port());
    let (login, browser, consent) = stage.at_consent().await;
    let release = Arc::new(Notify::new());
    stage.postiz.next_exchanges([Fault::Hold(Arc::clone(&release))]);
    let approving = tokio::spawn(async move { browser.approve(&consent).await });
    stage.exchange_begun(1).await;
    // The page after the callback comes from the other replica.
    stage.balancer.only(stage.replicas[0].port());
    first.signal("TERM");
    release.notify_one();
    assert_eq!(approving.await.unwrap().status, 200);
    assert_eq!(first.ended().await.code(), Some(0));
    let elsewhere = login.at(&stage.replicas[0].url());
    assert_eq!(elsewhere.decided().await, Poll::Token(stage.postiz.live_token().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_expired_rows_delay_no_login() {
    let mut stage = Stage::new().await;
    fill(&stage, 100_000, "-2 minutes").await;
    // This replica begins with a cleanup. A login goes on meanwhile.
    stage.start_replica().await;
    let (login, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
    eventually("the cleanup", async || stage.database.count("device_requests").await == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_code_in_use_is_drawn_again() {
    let stage = Stage::new().await;
    let twice = "CREATE SEQUENCE draws; CREATE FUNCTION in_use() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('draws') < 3 THEN RAISE unique_violation; END IF; RETURN NEW; END $$;
        CREATE TRIGGER in_use BEFORE INSERT ON device_requests FOR EACH ROW EXECUTE FUNCTION in_use()";
    stage.database.run(twice).await;
    stage.cli().open().await;
    assert_eq!(stage.database.count("generate_series(1, (SELECT last_value FROM draws))").await, 3);
}
