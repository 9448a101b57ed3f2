//! Connecting, the schema, and statements that take too long, without a replica: `db` alone on a real PostgreSQL.

use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::time::Duration;

use postiz_auth_server::db::{self, DatabaseError, InspectError, SchemaState, Statement, inspect};
use stand_in::Postgres;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use url::Url;

use crate::support::{Database, PgBouncer, config, connect, eventually};

const GRANTS: Statement = Statement { name: "grants", sql: "SELECT count(*) FROM device_requests" };
const ONE: Statement = Statement { name: "one", sql: "SELECT 1" };
const REFUSED: Statement = Statement { name: "refused", sql: "SELECT 1/0" };
const LIMIT: Duration = Duration::from_secs(3);

/// A replica's way to the database.
fn replica(url: &str) -> db::Database {
    db::Database::new(&config(url, &[("DATABASE_POOL_SIZE", "4")])).unwrap()
}

/// The same with a task that keeps the tables current, as a server has one.
fn kept(url: &str) -> db::Database {
    let database = replica(url);
    let keeper = database.clone();
    tokio::spawn(async move { keeper.keep_migrated().await });
    database
}

/// The URL with one more host before the others.
fn before(url: &str, port: u16) -> String {
    url.replace('@', &format!("@127.0.0.1:{port},"))
}

/// A way to `to` that takes a while at its beginning.
async fn slow_way(to: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                sleep(delay).await;
                let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await.unwrap();
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    port
}

/// libpq waits for all of its `connect_timeout`.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_says_nothing_delays_neither_a_probe_nor_a_statement_for_long() {
    let (unresponsive, database) = (StdListener::bind("127.0.0.1:0").unwrap(), Database::new().await);
    let unresponsive = unresponsive.local_addr().unwrap().port();
    let url = before(&database.url(), unresponsive) + "?connect_timeout=20";
    let replica = replica(&url);
    for _ in 0..3 {
        assert!(replica.is_writable().await);
        replica.discard_connections();
        replica.rows(ONE, &[], LIMIT).await.unwrap();
        replica.discard_connections();
    }
    // Of several errors, the one of the host that answers is reported.
    let gone = before(&database.url().replace("/t_", "/gone_"), unresponsive);
    let Err(InspectError::Refused { code, .. }) = inspect(&config(&gone, &[]).database).await else { panic!() };
    assert_eq!(code, "3D000");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_probe_and_a_statement_gave_up_waiting_for_is_there_for_the_next() {
    let database = Database::new().await;
    let real = Url::parse(&database.url()).unwrap().port().unwrap();
    let way = slow_way(real, Duration::from_millis(2300)).await;
    let url = database.url().replace(&real.to_string(), &way.to_string()) + "?connect_timeout=20";
    let replica = replica(&url);
    let gives_up = Duration::from_millis(500);
    let (is_writable, rows) = tokio::join!(replica.is_writable(), replica.rows(ONE, &[], gives_up));
    assert!(!is_writable);
    assert_eq!(rows.unwrap_err(), DatabaseError::Unavailable);
    assert!(!replica.is_available());
    eventually("the connection", async || replica.load().available == 1).await;
    assert_eq!(replica.rows(REFUSED, &[], gives_up).await.unwrap_err(), DatabaseError::Refused);
    assert!(replica.is_available(), "a refusal is an answer");
    replica.rows(ONE, &[], gives_up).await.unwrap();
    eventually("the probe's connection", async || replica.is_writable().await).await;
    assert_eq!(replica.load().size, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_a_host() {
    let directory = std::env::temp_dir();
    let settings = [("unix_socket_directories", directory.to_str().unwrap())];
    let postgres = Postgres::start(&settings).unwrap();
    let (password, port) = (postgres.password(), postgres.port());
    let url = format!("postgres://postiz:{password}@/postgres?host={}&port={port}", directory.display());
    assert!(replica(&url).is_writable().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_comes_back() {
    let database = Database::new().await;
    let replica = kept(&database.url());
    replica.migrated().await;
    for dropped in ["device_requests", "device_requests, postiz_auth_wrong_codes"] {
        database.run(&format!("DROP TABLE {dropped}")).await;
        replica.rows(GRANTS, &[], LIMIT).await.unwrap();
    }
    assert_eq!(database.count("postiz_auth_wrong_codes").await, 0);
    let indexes = "pg_indexes WHERE indexname LIKE 'postiz_auth_%' AND indexname NOT LIKE '%_pkey'";
    assert_eq!(database.count(indexes).await, 3);
    assert_eq!(replica.schema(), SchemaState::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_program_is_named_and_left_alone_until_there_is_room() {
    for (theirs, named, makes_room) in [
        (
            "CREATE TABLE device_requests (id bigint PRIMARY KEY, serial_number text);
             CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL)",
            "the table device_requests in the database is another program's: it has no column user_code",
            "ALTER TABLE device_requests RENAME TO devices",
        ),
        ("CREATE SCHEMA postiz; CREATE TABLE postiz.\"OAuthApp\" (id text)", "OAuthApp", "DROP SCHEMA postiz CASCADE"),
    ] {
        let database = Database::new().await;
        database.run(theirs).await;
        let replica = kept(&database.url());
        eventually("the database to be judged", async || replica.schema() != SchemaState::Unknown).await;
        let SchemaState::Foreign(why) = replica.schema() else { panic!("{theirs}") };
        assert!(why.contains(named), "{why}");
        assert_eq!(replica.rows(GRANTS, &[], LIMIT).await.unwrap_err(), DatabaseError::Unavailable);
        assert_eq!(database.count("pg_class WHERE relname LIKE 'postiz_auth_%'").await, 0, "{theirs}");

        database.run(makes_room).await;
        replica.migrated().await;
        replica.rows(GRANTS, &[], LIMIT).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_create_nothing_is_enough_once_nothing_is_missing() {
    let database = Database::new().await;
    let role = format!("small_{:08x}", rand::random::<u32>());
    database.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2'")).await;
    let mut url = Url::parse(&database.url()).unwrap();
    url.set_username(&role).unwrap();
    url.set_password(Some("hunter2")).unwrap();
    let lacking = async || inspect(&config(url.as_str(), &[]).database).await.unwrap().lacking;
    assert_eq!(lacking().await, ["CREATE on schema public"]);
    replica(url.as_str()).migrate().await.unwrap_err();

    replica(&database.url()).migrate().await.unwrap();
    assert_eq!(lacking().await.len(), 8, "four rights on each of two tables");
    let tables = "device_requests, postiz_auth_wrong_codes";
    database.run(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role}")).await;
    assert!(lacking().await.is_empty());
    let small = replica(url.as_str());
    small.migrate().await.unwrap();
    small.rows(GRANTS, &[], LIMIT).await.unwrap();
    small.close();
    database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

/// Six at once, also where each transaction sees what was there at its beginning.
async fn race(database: &Database) {
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    database.run(&format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")).await;
    let starters = [(); 6].map(|()| kept(&database.url_for_replicas()));
    for replica in &starters {
        replica.migrated().await;
    }
    starters[0].rows(GRANTS, &[], LIMIT).await.unwrap();
    let indexes = "pg_indexes WHERE indexname LIKE 'postiz_auth_%' OR tablename = 'device_requests'";
    assert_eq!(database.count(indexes).await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn six_replicas_may_start_at_once() {
    const ISOLATION: Statement = Statement { name: "isolation", sql: "SHOW transaction_isolation" };
    let database = Database::new().await;
    race(&database).await;
    let isolation = replica(&database.url()).rows(ISOLATION, &[], LIMIT).await.unwrap();
    assert_eq!(isolation[0].get::<_, &str>(0), "read committed", "not the database's own");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pgbouncer"]
async fn six_replicas_may_start_at_once_through_a_pooler() {
    let pooler = PgBouncer::start().await;
    race(&Database::behind(&pooler).await).await;
}

/// All statements wait behind one that waits for a table, as the one that replaces it does.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_delays_the_schema_and_not_the_others() {
    let database = Database::new().await;
    database.run("CREATE TABLE device_requests (device_code text, access_token text, organization_id text)").await;
    let mut backup = connect(&database.url()).await;
    let dump = backup.transaction().await.unwrap();
    dump.simple_query("LOCK TABLE device_requests IN ACCESS SHARE MODE").await.unwrap();
    let (replica, other) = (kept(&database.url()), replica(&database.url()));
    for _ in 0..3 {
        let waits =
            "pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'device_requests'::regclass AND NOT granted";
        eventually("the schema to wait", async || database.count(waits).await > 0).await;
        other.rows(GRANTS, &[], LIMIT).await.unwrap();
    }
    assert_eq!(replica.schema(), SchemaState::Unknown);
    dump.rollback().await.unwrap();
    replica.migrated().await;
}

/// Whether the statements after them have the same server process.
async fn ends_what_is_abandoned(database: &Database) -> bool {
    const SLEEP: Statement = Statement { name: "sleep", sql: "SELECT pg_sleep(100)" };
    const PROCESS: Statement = Statement { name: "process", sql: "SELECT pg_backend_pid()" };
    let config = config(&database.url_for_replicas(), &[("DATABASE_POOL_SIZE", "1")]);
    let replica = db::Database::new(&config).unwrap();
    let process = async || replica.rows(PROCESS, &[], LIMIT).await.unwrap()[0].get::<_, i32>(0);
    let before = process().await;
    // PostgreSQL ends the first, the next is cancelled when its caller gives up.
    for limit in [1900, 300] {
        let limit = Duration::from_millis(limit);
        assert_eq!(replica.rows(SLEEP, &[], limit).await.unwrap_err(), DatabaseError::Temporary);
        let asleep = "pg_stat_activity WHERE query LIKE '%pg_sleep(100)' AND state = 'active'";
        eventually("the end of the statement", async || database.count(asleep).await == 0).await;
    }
    assert!(replica.is_available(), "the database answers");
    process().await == before
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_statement_is_ended_and_costs_no_connection() {
    assert!(ends_what_is_abandoned(&Database::new().await).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pgbouncer"]
async fn an_abandoned_statement_is_ended_behind_a_pooler_too() {
    let pooler = PgBouncer::start().await;
    ends_what_is_abandoned(&Database::behind(&pooler).await).await;
}
