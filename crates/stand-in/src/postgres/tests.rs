use std::io::{BufRead, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use super::*;

const QUICK: [(&str, &str); 2] = [("fsync", "off"), ("max_connections", "20")];
const TIMEOUT: Duration = Duration::from_secs(30);
/// The argument that makes `owns_one_until_it_is_killed` run; an ordinary test run passes it over.
const TO_BE_KILLED: &str = "to-be-killed";

async fn connect(postgres: &Postgres) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(&postgres.url("postgres"), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn ask(client: &Client, query: &str) -> Option<String> {
    client.query_typed(query, &[]).await.unwrap().first().map(|row| row.get(0))
}

fn is_running(pid: &str) -> bool {
    Command::new("sh").args(["-c", "kill -s 0 $0 2>/dev/null", pid]).status().unwrap().success()
}

#[tokio::test]
async fn it_accepts_connections_once_started_and_has_its_settings() {
    let postgres = Postgres::start(&[("fsync", "off"), ("max_connections", "37")]).unwrap();
    let client = connect(&postgres).await.unwrap();
    assert_eq!(ask(&client, "SELECT current_setting('max_connections')").await.unwrap(), "37");
    assert_eq!(ask(&client, "SELECT current_setting('server_encoding')").await.unwrap(), "UTF8");
    assert!(postgres.bin_dir().join("initdb").is_file());
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let postgres = Postgres::start(&QUICK).unwrap();
    let wrong = postgres.url("postgres").replace(postgres.password(), "guess");
    let refusal = tokio_postgres::connect(&wrong, NoTls).await.err().unwrap();
    assert_eq!(refusal.code(), Some(&tokio_postgres::error::SqlState::INVALID_PASSWORD));
}

#[tokio::test]
async fn a_standby_replicates_until_it_is_promoted() {
    let primary = Postgres::start(&QUICK).unwrap();
    let standby = primary.standby().unwrap();
    connect(&primary).await.unwrap().batch_execute("CREATE TABLE followed ()").await.unwrap();
    let client = connect(&standby).await.unwrap();
    let replicated = async {
        while ask(&client, "SELECT relname::text FROM pg_class WHERE relname = 'followed'").await.is_none() {}
    };
    tokio::time::timeout(TIMEOUT, replicated).await.expect("the standby replicates the table");
    assert!(client.batch_execute("CREATE TABLE refused ()").await.is_err(), "it is read-only");
    client.batch_execute("SELECT pg_promote()").await.unwrap();
    client.batch_execute("CREATE TABLE taken ()").await.unwrap();
}

#[tokio::test]
async fn data_and_port_survive_a_stop_and_a_crash() {
    let postgres = Postgres::start(&[]).unwrap();
    let client = connect(&postgres).await.unwrap();
    client.batch_execute("CREATE TABLE kept (what text)").await.unwrap();

    client.batch_execute("INSERT INTO kept VALUES ('stop')").await.unwrap();
    postgres.stop_fast().unwrap();
    assert!(connect(&postgres).await.is_err(), "it is stopped");
    postgres.start_again().unwrap();

    let client = connect(&postgres).await.unwrap();
    client.batch_execute("INSERT INTO kept VALUES ('crash')").await.unwrap();
    postgres.stop_immediate().unwrap();
    assert!(connect(&postgres).await.is_err(), "it has crashed");
    postgres.start_again().unwrap();

    let client = connect(&postgres).await.unwrap();
    let kept = ask(&client, "SELECT string_agg(what, ' ' ORDER BY what) FROM kept").await;
    assert_eq!(kept.unwrap(), "crash stop");
    assert!(postgres.log_tail().contains("automatic recovery"), "this was no crash: {}", postgres.log_tail());
}

#[tokio::test]
async fn a_paused_server_answers_no_connection_until_it_is_resumed() {
    let postgres = Postgres::start(&QUICK).unwrap();
    let client = connect(&postgres).await.unwrap();
    postgres.pause().unwrap();
    let brief = Duration::from_millis(200);
    assert!(tokio::time::timeout(brief, connect(&postgres)).await.is_err(), "a new connection hangs");
    let answer = client.query_typed("SELECT 'late'", &[]);
    tokio::pin!(answer);
    assert!(tokio::time::timeout(brief, &mut answer).await.is_err(), "an old connection hangs");
    postgres.resume().unwrap();
    let answer = tokio::time::timeout(TIMEOUT, answer).await.expect("resumed").unwrap();
    assert_eq!(answer[0].get::<_, String>(0), "late");
}

#[test]
fn dropping_it_removes_everything_even_while_it_is_paused() {
    let postgres = Postgres::start(&QUICK).unwrap();
    let (pid, directory) = (pid_of(&postgres), postgres.directory.clone());
    assert!(is_running(&pid));
    postgres.pause().unwrap();
    drop(postgres);
    assert!(!is_running(&pid));
    assert!(!directory.exists());
}

#[test]
fn a_failure_shows_the_end_of_the_log() {
    let error = Postgres::start(&[("max_connections", "plenty")]).unwrap_err();
    assert!(error.to_string().contains("invalid value for parameter \"max_connections\""), "{error}");
}

#[test]
fn a_port_that_was_taken_meanwhile_is_recognized() {
    let postgres = Postgres::start(&QUICK).unwrap();
    postgres.stop_fast().unwrap();
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, postgres.port())).unwrap();
    let error = postgres.start_again().unwrap_err();
    assert!(port_was_taken(&error), "{error}");
}

#[test]
fn a_directory_without_programs_is_an_error() {
    let error = Postgres::start_in(PathBuf::from("/nonexistent"), &QUICK).unwrap_err();
    assert!(matches!(error, PostgresError::Failed { step: "init", .. }), "{error}");
}

#[test]
fn everything_is_removed_when_its_owner_is_killed() {
    let (mut owner, ended) = spawn_owner();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut value = |name: &str| lines.find_map(|line| Some(line.split_once(name)?.1.to_owned())).unwrap();
    let (pid, directory) = (value("pid="), PathBuf::from(value("directory=")));
    assert!(is_running(&pid) && directory.exists());

    owner.kill().unwrap(); // SIGKILL
    owner.wait().unwrap();

    ended.recv_timeout(TIMEOUT).expect("the guard ends");
    assert!(!is_running(&pid));
    assert!(!directory.exists());
}

/// A process that owns a PostgreSQL, and a channel that tells when it and its guard have ended: both hold the standard error.
fn spawn_owner() -> (Child, mpsc::Receiver<()>) {
    let test = "postgres::tests::owns_one_until_it_is_killed";
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--include-ignored", test, TO_BE_KILLED])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = owner.stderr.take().unwrap();
    let (end, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = errors.read_to_end(&mut Vec::new());
        let _ = end.send(());
    });
    (owner, ended)
}

#[test]
#[ignore = "the other process of `everything_is_removed_when_its_owner_is_killed`"]
fn owns_one_until_it_is_killed() {
    if std::env::args().any(|argument| argument == TO_BE_KILLED) {
        let postgres = Postgres::start(&QUICK).unwrap();
        println!("\npid={}\ndirectory={}", pid_of(&postgres), postgres.directory.display());
        let _ = io::stdin().read(&mut [0]); // until it is killed
    }
}

fn pid_of(postgres: &Postgres) -> String {
    let file = std::fs::read_to_string(postgres.data_dir().join("postmaster.pid")).unwrap();
    file.lines().next().unwrap().to_owned()
}
