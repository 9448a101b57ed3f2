//! Statements have names on connections with a server process of their own, and nowhere else.

use std::time::Duration;

use postiz_auth_server::db::{self, Statement};
use postiz_auth_server::grant::DeviceCode;
use tokio_postgres::Row;

use crate::encryption;
use crate::support::{Database, PgBouncer, config, eventually_some};

const NAMES: &str = "SELECT statement FROM pg_prepared_statements";

/// A replica's way to the database, with a single connection.
struct Connection(db::Database);

impl Connection {
    fn to(url: &str) -> Self {
        let config = config(url, &[("DATABASE_POOL_SIZE", "1")]);
        Self(db::Database::new(&config).unwrap())
    }

    async fn rows(&self, sql: &'static str) -> Vec<Row> {
        self.0.rows(Statement { name: "test", sql }, &[], Duration::from_secs(5)).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_its_own_keeps_each_statement_once() {
    let connection = Connection::to(&Database::new().await.url());
    for _ in 0..3 {
        connection.rows("SELECT 1").await;
    }
    let kept: Vec<String> = connection.rows(NAMES).await.iter().map(|row| row.get(0)).collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
}

/// PostgreSQL expects ten elements in an array that it does not know, so planning anew for one seems cheaper to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_of_one_login_is_not_planned_each_time() {
    const PLANS: Statement =
        Statement { name: "plans", sql: "SELECT generic_plans, custom_plans FROM pg_prepared_statements ORDER BY 1" };
    let store = Database::new().await.store();
    store.database().migrate().await.unwrap();
    for _ in 0..10 {
        store.look_up(DeviceCode::random().grant_id(), false, None).await.unwrap();
    }
    let plans = store.database().rows(PLANS, &[], Duration::from_secs(5)).await.unwrap();
    let plans: Vec<(i64, i64)> = plans.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(plans, [(1, 0), (10, 0)], "this statement, and the look-up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_its_own_is_recognised_however_it_is_made() {
    let (certificate, key) = encryption::self_signed();
    let postgres = encryption::postgres(&certificate, &key).await;
    for (host, query) in [
        ("localhost", "sslmode=disable"),
        ("localhost", "sslmode=prefer"),
        ("localhost", "sslmode=require"),
        ("localhost", "sslmode=require&channel_binding=require"),
        (encryption::PUBLIC, "sslmode=disable"),
        (encryption::PUBLIC, "sslmode=prefer"),
        (encryption::PUBLIC, ""),
    ] {
        let url = encryption::at(&postgres, host, query);
        assert_eq!(Connection::to(&url).rows(NAMES).await.len(), 1, "{host} {query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pgbouncer"]
async fn a_pooler_is_recognised_before_the_first_statement() {
    let pooler = PgBouncer::start().await;
    let database = Database::behind(&pooler).await;
    for connection in [(); 4].map(|()| Connection::to(&database.url_for_replicas())) {
        connection.rows("SELECT 1").await;
        assert!(connection.rows(NAMES).await.is_empty());
        assert_eq!(connection.rows("SHOW enable_seqscan").await[0].get::<_, &str>(0), "on", "another client's as well");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_lost_is_given_up_within_the_same_request() {
    let connection = Connection::to(&Database::new().await.url());
    connection.rows("SELECT 1").await;
    connection.rows("DEALLOCATE ALL").await;
    assert_eq!(connection.rows("SELECT 1").await.len(), 1);
    assert!(connection.rows(NAMES).await.is_empty(), "names are given up for good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_a_migration_has_made_stale_is_made_anew() {
    let database = Database::new().await;
    database.run("CREATE TABLE things (a integer); INSERT INTO things VALUES (1)").await;
    let connection = Connection::to(&database.url());
    assert_eq!(connection.rows("SELECT * FROM things").await[0].len(), 1);
    database.run("ALTER TABLE things ADD b integer").await;
    assert_eq!(connection.rows("SELECT * FROM things").await[0].len(), 2);
    assert!(!connection.rows(NAMES).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_made_for_an_empty_table_does_not_read_the_whole_of_a_full_one() {
    let database = Database::new().await;
    let store = database.store();
    store.database().migrate().await.unwrap();
    database.run("ALTER TABLE device_requests SET (autovacuum_enabled = off)").await;
    database.run("VACUUM ANALYZE device_requests").await;
    let code = DeviceCode::random();
    // From the sixth execution on, PostgreSQL may keep a plan.
    for _ in 0..40 {
        store.look_up(code.grant_id(), false, None).await.unwrap();
        store.deliver(code.grant_id()).await.unwrap();
    }
    database
        .run(
            "INSERT INTO device_requests (id, user_code, sealing_key, verifier_salt, interval_seconds, expires_at)
             SELECT sha256(n::text::bytea), lpad(n::text, 8, '0'), sha256('key'), sha256('salt'), 1,
                    now() + interval '1 hour'
             FROM generate_series(1, 20000) AS n",
        )
        .await;
    for _ in 0..20 {
        store.look_up(code.grant_id(), false, None).await.unwrap();
        store.deliver(code.grant_id()).await.unwrap();
    }
    // The statistics of a session are sent when it has been idle for a moment, or ends.
    store.database().close();
    let read = eventually_some("the session's statistics", async || {
        let rows = database
            .rows("SELECT seq_tup_read, idx_scan FROM pg_stat_user_tables WHERE relname = 'device_requests'")
            .await;
        let (read, index): (i64, i64) = (rows[0].get(0), rows[0].get(1));
        (read > 0 || index >= 40).then_some(read)
    })
    .await;
    assert!(read < 20_000, "{read} rows were read");
}

/// A plan may read the whole of a partial index in place of a search, if its statement has the condition of the index. One
/// that was made while the index was empty did.
#[tokio::test(flavor = "multi_thread")]
async fn a_partial_index_can_only_be_used_to_search_for_its_own_column() {
    let database = Database::new().await;
    database.store().database().migrate().await.unwrap();
    let partial = "SELECT pg_get_indexdef(indexrelid, 1, true) AS key, pg_get_expr(indpred, indrelid) AS condition
                   FROM pg_index WHERE indrelid = 'device_requests'::regclass AND indpred IS NOT NULL";
    let indexes: Vec<(String, String)> =
        database.rows(partial).await.iter().map(|row| (row.get("key"), row.get("condition"))).collect();
    assert_eq!(indexes.len(), 1, "{indexes:?}");
    for (key, condition) in indexes {
        assert_eq!(condition, format!("({key} IS NOT NULL)"));
    }
}
