//! A worker of the web server has a connection of its own for the statements that its requests share.

use std::time::Duration;

use postiz_auth_server::db::{self, DatabaseError, Statement};
use tokio::runtime::Handle;
use tokio_postgres::{Client, Row};
use url::Url;

use crate::support::{Database, config, connect, eventually};

/// Waits until the lock below is free.
const WAIT: &str = "SELECT pg_advisory_xact_lock_shared(1)";
const LOCK: &str = "SELECT pg_advisory_lock(1)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(1)";
const WAITING: &str = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database =
                       (SELECT oid FROM pg_database WHERE datname = current_database())";

async fn rows(database: &db::Database, sql: &'static str) -> Result<Vec<Row>, DatabaseError> {
    database.rows(Statement { name: "test", sql }, &[], Duration::from_secs(10)).await
}

fn replica(url: &str, connections: &str, workers: usize) -> db::Database {
    let config = config(url, &[("DATABASE_POOL_SIZE", connections)]);
    db::Database::new(&config, workers, &Handle::current()).unwrap()
}

async fn locked(database: &Database) -> Client {
    let other = connect(&database.url()).await;
    other.batch_execute(LOCK).await.unwrap();
    other
}

async fn waiting(database: &Database, statements: usize) {
    let what = format!("{statements} statements wait for the lock");
    eventually(what, async || database.rows(WAITING).await.len() == statements).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_a_worker_do_not_wait_for_other_requests() {
    let database = Database::new().await;
    let replica = replica(&database.url(), "4", 1);
    let worker = replica.for_worker(&Handle::current()).unwrap();
    let other = locked(&database).await;
    let requests = async { tokio::join!(rows(&replica, WAIT), rows(&replica, WAIT), rows(&replica, WAIT)) };
    let answered = async {
        waiting(&database, 3).await;
        rows(&worker, "SELECT 1").await.unwrap();
        assert_eq!(replica.load().connections, 4);
        other.batch_execute(UNLOCK).await.unwrap();
    };
    let (requests, ()) = tokio::join!(requests, answered);
    assert!(requests.0.is_ok() && requests.1.is_ok() && requests.2.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_connection_is_in_use_takes_a_shared_one() {
    let database = Database::new().await;
    let worker = replica(&database.url(), "4", 1).for_worker(&Handle::current()).unwrap();
    let other = locked(&database).await;
    let answered = async {
        waiting(&database, 1).await;
        rows(&worker, "SELECT 1").await.unwrap();
        other.batch_execute(UNLOCK).await.unwrap();
    };
    let (waited, ()) = tokio::join!(rows(&worker, WAIT), answered);
    waited.unwrap();
    assert_eq!(worker.load().connections, 2);
}

/// A worker that ends gives its connection back.
#[tokio::test(flavor = "multi_thread")]
async fn a_quarter_of_the_connections_are_workers_own() {
    let database = Database::new().await;
    let replica = replica(&database.url(), "8", 4);
    let mut workers: Vec<_> = (0..4).filter_map(|_| replica.for_worker(&Handle::current())).collect();
    assert_eq!(workers.len(), 2);
    for (worker, connections) in workers.iter().zip([1, 2]) {
        rows(worker, "SELECT 1").await.unwrap();
        assert_eq!(replica.load().connections, connections);
    }
    assert_eq!(replica.load().max, 8);
    workers.remove(0);
    assert_eq!(replica.load().connections, 1);
    let next = replica.for_worker(&Handle::current()).unwrap();
    rows(&next, "SELECT 1").await.unwrap();
    assert_eq!(replica.load().connections, 2);
}

/// As on a small PostgreSQL, while others use its last connections.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_gets_no_connection_takes_a_shared_one() {
    let database = Database::new().await;
    let role = format!("r_{:016x}", rand::random::<u64>());
    let mut url = Url::parse(&database.url()).unwrap();
    let password = url.password().unwrap();
    database.run(&format!("CREATE ROLE {role} LOGIN PASSWORD '{password}' CONNECTION LIMIT 1")).await;
    url.set_username(&role).unwrap();
    let replica = replica(url.as_str(), "4", 1);
    let worker = replica.for_worker(&Handle::current()).unwrap();
    rows(&replica, "SELECT 1").await.unwrap();
    for _ in 0..3 {
        rows(&worker, "SELECT 1").await.unwrap();
    }
    assert_eq!(replica.load().connections, 1);
}

/// As when their server has become a standby.
#[tokio::test(flavor = "multi_thread")]
async fn workers_connections_are_discarded_with_the_others() {
    let database = Database::new().await;
    let replica = replica(&database.url(), "4", 1);
    let worker = replica.for_worker(&Handle::current()).unwrap();
    for database in [&replica, &worker] {
        rows(database, "SELECT 1").await.unwrap();
    }
    assert_eq!(replica.load().connections, 2);
    replica.discard_connections();
    assert_eq!(replica.load().connections, 0);
    rows(&worker, "SELECT 1").await.unwrap();
    replica.close();
    assert!(rows(&worker, "SELECT 1").await.is_err());
}
