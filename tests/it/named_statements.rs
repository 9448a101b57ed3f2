//! Statements have names on connections with a server process of their own, and nowhere else.

use std::time::Duration;

use postiz_auth_server::db::{self, Statement};
use tokio_postgres::Row;

use crate::encryption;
use crate::support::{Database, PgBouncer, config};

const NAMES: &str = "SELECT statement FROM pg_prepared_statements";
const SEQUENTIAL: &str = "SHOW enable_seqscan";

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

    async fn text(&self, sql: &'static str) -> String {
        self.rows(sql).await[0].get(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_its_own_keeps_each_statement_once_however_it_is_made() {
    let (certificate, key) = encryption::self_signed();
    let postgres = encryption::postgres(&certificate, &key).await;
    for (host, query) in [
        ("localhost", "sslmode=disable"),
        ("localhost", "sslmode=require&channel_binding=require"),
        (encryption::PUBLIC, "sslmode=prefer"),
    ] {
        let connection = Connection::to(&encryption::at(&postgres, host, query));
        for _ in 0..3 {
            connection.rows("SELECT 1").await;
        }
        assert_eq!(connection.rows(NAMES).await.len(), 2, "{host} {query}");
        assert_eq!(connection.text(SEQUENTIAL).await, "off", "a plan may have been made for an empty table");
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
        assert_eq!(connection.text(SEQUENTIAL).await, "on", "another client's as well");
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
