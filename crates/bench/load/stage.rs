//! The processes that are measured: PostgreSQL, replicas, and the stand-in for Postiz.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stand_in::{Postgres, RegisteredApp, StandIn};
use tokio_postgres::{Client, NoTls};

use crate::machine;
use crate::wire::{self, Connection};

/// The argument that makes this program the stand-in.
pub const STAND_IN: &str = "stand-in";
/// No server listens here: the load goes to each replica's own port.
const SERVER_URL: &str = "http://localhost:3111";
/// An app made by hand: the Node server sends neither `redirect_uri` nor PKCE, which registered clients need.
const CLIENT_ID: &str = "pca_bench";
const CLIENT_SECRET: &str = "client-secret-of-the-bench";
/// How long a replica can take to become healthy.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Database connections that a replica uses for logins: the default of `DATABASE_POOL_SIZE`.
pub const POOL_SIZE: usize = 8;

pub struct Stage {
    pub postgres: Arc<Postgres>,
    pub postiz: Process,
    /// The Node server's build, if it is to be measured.
    pub node_server: Option<PathBuf>,
    server: PathBuf,
    directory: PathBuf,
}

/// A process that ends with its owner.
pub struct Process {
    child: Child,
    pub port: u16,
}

impl Stage {
    /// Starts the stand-in and a PostgreSQL with its default settings, so with fsync on. `server` is the path of the binary.
    pub fn start(server: PathBuf, node_server: Option<PathBuf>) -> Self {
        let settings = [("max_connections", "300"), ("shared_preload_libraries", "pg_stat_statements")];
        let postgres = Arc::new(Postgres::start(&settings).expect("a PostgreSQL"));
        let directory = std::env::temp_dir().join(format!("postiz-auth-bench-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&directory).unwrap();
        Self { postgres, postiz: stand_in_process(), node_server, server, directory }
    }

    /// Processor time of PostgreSQL. It starts anew with a restart.
    pub fn postgres_seconds(&self) -> f64 {
        let pid_file = std::fs::read_to_string(self.postgres.data_dir().join("postmaster.pid")).unwrap();
        machine::cpu_seconds_with_children(pid_file.lines().next().unwrap().parse().unwrap())
    }

    /// A fresh database.
    pub async fn database(&self) -> Database {
        let name = format!("b_{:016x}", rand::random::<u64>());
        connect(&self.postgres.url("postgres")).await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let url = self.postgres.url(&name);
        let client = connect(&url).await;
        client.batch_execute("CREATE EXTENSION pg_stat_statements").await.unwrap();
        Database { client, url }
    }

    /// Starts a replica on this database and waits until it is healthy.
    pub async fn replica(&self, database_url: &str, variables: &[(&str, &str)]) -> Process {
        let replica = self.start_replica(database_url, variables);
        replica.healthy().await;
        replica
    }

    pub fn start_replica(&self, database_url: &str, variables: &[(&str, &str)]) -> Process {
        self.start_server(Command::new(&self.server), database_url, variables)
    }

    /// Starts a server that takes the same variables as ours.
    pub fn start_server(&self, mut server: Command, database_url: &str, variables: &[(&str, &str)]) -> Process {
        let port = free_port();
        let postiz = format!("http://localhost:{}", self.postiz.port);
        let log = File::create(self.directory.join(format!("{port}.log"))).unwrap();
        let child = server
            .env_clear()
            .env("DATABASE_URL", database_url)
            .env("POSTIZ_OAUTH_CLIENT_ID", CLIENT_ID)
            .env("POSTIZ_OAUTH_CLIENT_SECRET", CLIENT_SECRET)
            .env("PORT", port.to_string())
            // All of the load comes from one address.
            .env("RATE_LIMIT_CODES", "0")
            .env("SERVER_URL", SERVER_URL)
            .env("POSTIZ_FRONTEND_URL", &postiz)
            .env("POSTIZ_API_URL", format!("{postiz}/api"))
            .envs(variables.iter().copied())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Process { child, port }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A database for one figure, and a connection to it.
pub struct Database {
    pub client: Client,
    pub url: String,
}

impl Database {
    pub async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    /// The number in the only row and column of a query.
    pub async fn number(&self, sql: &str) -> f64 {
        self.client.query_typed(&format!("SELECT ({sql})::float8"), &[]).await.unwrap()[0].get(0)
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

impl Process {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `/health` answers 200. Returns how long that took.
    pub async fn healthy(&self) -> Duration {
        let begun = Instant::now();
        while self.health().await != Some(200) {
            assert!(begun.elapsed() < START_TIMEOUT, "the replica does not become healthy");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        begun.elapsed()
    }

    pub async fn health(&self) -> Option<u16> {
        Connection::to(self.port).await.ok()?.status_of(&wire::get("/health", "")).await.ok()
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs this program again as the stand-in, so that its processor time is measured apart from the load's.
fn stand_in_process() -> Process {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program).arg(STAND_IN).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
    Process { child, port: port.trim().parse().unwrap() }
}

/// Prints its port, and serves until its standard input is closed.
pub fn be_the_stand_in() {
    let app = RegisteredApp {
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        redirect_uri: format!("{SERVER_URL}/device/callback"),
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _stand_in = StandIn::start(app, listener, None).unwrap();
    println!("{port}");
    let _ = std::io::stdout().flush();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
