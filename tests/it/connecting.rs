//! Connecting, the schema, and statements that take too long, without a replica: `db` alone on a real PostgreSQL.

use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::time::{Duration, Instant};

use postiz_auth_server::db::{self, DatabaseError, InspectError, SchemaState, Statement, inspect};
use stand_in::Postgres;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use url::Url;

use crate::support::{Database, PgBouncer, config, connect, eventually};

const GRANTS: Statement = Statement { name: "grants", sql: "SELECT count(*) FROM device_requests" };
const ONE: Statement = Statement { name: "one", sql: "SELECT 1" };
const LIMIT: Duration = Duration::from_secs(3);
/// Where the server's connections are counted.
const OURS: &str = "pg_stat_activity WHERE datname = current_database() AND application_name = 'postiz-auth-server'";

/// A replica's way to the database.
fn replica(url: &str) -> db::Database {
    replica_with(url, 4)
}

fn replica_with(url: &str, connections: usize) -> db::Database {
    db::Database::new(&config(url, &[("DATABASE_POOL_SIZE", &connections.to_string())])).unwrap()
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

/// Accepts connections and says nothing.
fn silent() -> StdListener {
    StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

fn port(listener: &StdListener) -> u16 {
    listener.local_addr().unwrap().port()
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

fn port_of(url: &str) -> u16 {
    Url::parse(url).unwrap().port().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_says_nothing_delays_a_connection_for_a_moment() {
    let (silent, database) = (silent(), Database::new().await);
    let url = before(&database.url(), port(&silent)) + "?connect_timeout=20";
    for probes in [true, false] {
        let replica = replica(&url);
        let begun = Instant::now();
        for _ in 0..3 {
            if probes {
                assert!(replica.is_writable().await);
            } else {
                replica.rows(ONE, &[], LIMIT).await.unwrap();
            }
            replica.discard_connections();
        }
        // libpq waits for all of its connect_timeout. Others may use this machine as well.
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    assert_eq!(inspect(&config(&url, &[]).database).await.unwrap().role, "postiz");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_addresses_the_error_of_the_one_that_answers_is_reported() {
    let (silent, database) = (silent(), Database::new().await);
    let nobody = before(&database.url().replace("/t_", "/gone_"), port(&silent));
    let Err(InspectError::Refused { code, .. }) = inspect(&config(&nobody, &[]).database).await else { panic!() };
    assert_eq!(code, "3D000");
    let silent = database.url().replace(&port_of(&database.url()).to_string(), &port(&silent).to_string());
    let why = inspect(&config(&silent, &[]).database).await.unwrap_err().to_string();
    assert_eq!(why, "no answer from 127.0.0.1 within 3s");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_probe_and_a_statement_gave_up_waiting_for_is_there_for_the_next() {
    let database = Database::new().await;
    let real = port_of(&database.url());
    let way = slow_way(real, Duration::from_millis(2300)).await;
    let url = database.url().replace(&real.to_string(), &way.to_string()) + "?connect_timeout=20";
    let replica = replica(&url);
    let gives_up = Duration::from_millis(500);
    let (is_writable, rows) = tokio::join!(replica.is_writable(), replica.rows(ONE, &[], gives_up));
    assert!(!is_writable);
    assert_eq!(rows.unwrap_err(), DatabaseError::Unavailable);
    eventually("the connection", async || replica.load().idle == 1).await;
    replica.rows(ONE, &[], gives_up).await.unwrap();
    eventually("the probe's connection", async || replica.is_writable().await).await;
    assert_eq!(replica.load().connections, 1);
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
    // A dump that lacks some of them is completed at the start.
    database.run("DROP TABLE postiz_auth_wrong_codes; DROP INDEX postiz_auth_settled_at").await;
    self::replica(&database.url()).migrate().await.unwrap();
    assert_eq!(database.count(indexes).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_program_is_named_and_left_alone() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);
             CREATE TABLE device_requests (id bigint PRIMARY KEY, serial_number text);
             INSERT INTO device_requests VALUES (1, 'a')",
        )
        .await;
    let replica = kept(&database.url());
    eventually("the table to be judged", async || replica.schema() != SchemaState::Unknown).await;
    let SchemaState::Foreign(why) = replica.schema() else { panic!() };
    assert_eq!(why, "the table device_requests in the database is another program's: it has no column user_code");
    assert_eq!(replica.rows(GRANTS, &[], LIMIT).await.unwrap_err(), DatabaseError::Unavailable);
    let found = inspect(&config(&database.url(), &[]).database).await.unwrap();
    assert_eq!((found.foreign, found.missing), (Some(why), Vec::new()));
    assert_eq!(database.count("device_requests").await, 1);
    assert_eq!(database.count("pg_class WHERE relname LIKE 'postiz_auth_%'").await, 0);

    database.run("ALTER TABLE device_requests RENAME TO devices").await;
    replica.migrated().await;
    assert_eq!(database.count("devices").await, 1);
    assert_eq!(database.count("schema_migrations").await, 0);
    replica.rows(GRANTS, &[], LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn postizs_own_database_gets_no_table() {
    let database = Database::new().await;
    database.run("CREATE SCHEMA postiz; CREATE TABLE postiz.\"OAuthApp\" (id text)").await;
    let replica = replica(&database.url());
    replica.migrate().await.unwrap_err();
    let SchemaState::Foreign(why) = replica.schema() else { panic!() };
    assert!(why.contains("OAuthApp"), "{why}");
    let tables = "pg_class WHERE relname = 'device_requests' OR relname LIKE 'postiz_auth_%'";
    assert_eq!(database.count(tables).await, 0);
    // One that has them already is used on.
    database.run("DROP SCHEMA postiz CASCADE").await;
    replica.migrate().await.unwrap();
    database.run("CREATE TABLE \"OAuthApp\" (id text)").await;
    self::replica(&database.url()).migrate().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_the_node_server_is_replaced() {
    let database = Database::new().await;
    let columns = "device_code text PRIMARY KEY, user_code text, status text, access_token text";
    database.run(&format!("CREATE TABLE device_requests ({columns})")).await;
    database.run("INSERT INTO device_requests VALUES ('plain', 'BCDFGHJK')").await;
    let replica = replica(&database.url());
    replica.migrate().await.unwrap();
    replica.rows(GRANTS, &[], LIMIT).await.unwrap();
    assert!(!database.dump().contains("BCDFGHJK"));
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
    let starters: JoinSet<_> = (0..6)
        .map(|_| {
            let replica = kept(&database.url_for_replicas());
            async move { replica.migrated().await }
        })
        .collect();
    starters.join_all().await;
    replica(&database.url_for_replicas()).rows(GRANTS, &[], LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn six_replicas_may_start_at_once() {
    race(&Database::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pgbouncer"]
async fn six_replicas_may_start_at_once_through_a_pooler() {
    let pooler = PgBouncer::start().await;
    race(&Database::behind(&pooler).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_a_server_process_of_their_own_have_their_isolation() {
    const ISOLATION: Statement = Statement { name: "isolation", sql: "SHOW transaction_isolation" };
    let database = Database::new().await;
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    database.run(&format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")).await;
    let rows = replica(&database.url()).rows(ISOLATION, &[], LIMIT).await.unwrap();
    assert_eq!(rows[0].get::<_, &str>(0), "read committed");
}

/// All statements wait behind one that waits for a table, as the one that replaces it does.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_delays_the_schema_and_not_the_others() {
    let database = Database::new().await;
    database.run("CREATE TABLE device_requests (device_code text)").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn statements_wait_in_line_and_have_their_own_time_from_then_on() {
    const SLEEP: Statement = Statement { name: "sleep", sql: "SELECT pg_sleep(0.02)" };
    const LONG: Statement = Statement { name: "long", sql: "SELECT pg_sleep(1.4)" };
    let database = Database::new().await;
    let replica = replica_with(&database.url(), 1);
    let many = (0..100).map(|_| {
        let replica = replica.clone();
        async move { replica.rows(SLEEP, &[], Duration::from_secs(8)).await }
    });
    assert!(many.collect::<JoinSet<_>>().join_all().await.iter().all(Result::is_ok));
    let long = || replica.rows(LONG, &[], Duration::from_secs(8));
    let (first, second, third) = tokio::join!(long(), long(), long());
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_costs_no_connection() {
    const SLEEP: Statement = Statement { name: "sleep", sql: "SELECT pg_sleep(10)" };
    const PROCESS: Statement = Statement { name: "process", sql: "SELECT pg_backend_pid()" };
    let database = Database::new().await;
    let replica = replica_with(&database.url(), 1);
    let process = async || replica.rows(PROCESS, &[], LIMIT).await.unwrap()[0].get::<_, i32>(0);
    let before = process().await;
    // PostgreSQL ends the first, the next is cancelled when its caller gives up.
    for limit in [1900, 2800, 300] {
        let (begun, limit) = (Instant::now(), Duration::from_millis(limit));
        assert_eq!(replica.rows(SLEEP, &[], limit).await.unwrap_err(), DatabaseError::Unavailable);
        assert!(begun.elapsed() < limit + Duration::from_millis(500), "{:?}", begun.elapsed());
        assert_eq!(process().await, before);
    }
    assert!(replica.load().available, "the database answers");
    assert_eq!(database.count("pg_stat_activity WHERE query LIKE '%pg_sleep(10)' AND state = 'active'").await, 0);
}

/// A lock of six seconds, while more statements come than there are connections.
async fn most_processes(database: &Database, counted: &str) -> i64 {
    replica(&database.url()).migrate().await.unwrap();
    let replica = replica(&database.url_for_replicas());
    let mut holder = connect(&database.url()).await;
    let lock = holder.transaction().await.unwrap();
    lock.simple_query("LOCK TABLE device_requests IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let until = Instant::now() + Duration::from_secs(6);
    let crowd: JoinSet<_> = (0..30)
        .map(|_| {
            let replica = replica.clone();
            async move {
                while Instant::now() < until {
                    assert!(replica.rows(GRANTS, &[], LIMIT).await.is_err());
                }
            }
        })
        .collect();
    let mut most = 0;
    while Instant::now() < until {
        most = most.max(database.count(counted).await);
        sleep(Duration::from_millis(50)).await;
    }
    lock.rollback().await.unwrap();
    crowd.join_all().await;
    replica.rows(GRANTS, &[], LIMIT).await.unwrap();
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_several_seconds_does_not_multiply_server_processes() {
    let most = most_processes(&Database::new().await, OURS).await;
    assert!((4..=6).contains(&most), "{most}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pgbouncer"]
async fn a_lock_of_several_seconds_does_not_multiply_server_processes_behind_a_pooler() {
    let pooler = PgBouncer::start().await;
    let waiting = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let most = most_processes(&Database::behind(&pooler).await, waiting).await;
    // Each of its three may be ending while the next one starts.
    assert!((2..=6).contains(&most), "{most}");
}
