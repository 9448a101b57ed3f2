//! The processes that are measured: PostgreSQL, the servers, and the stand-in for Postiz.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stand_in::{Fault, Postgres, RegisteredApp, StandIn};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_postgres::{Client, NoTls};

use crate::machine;
use crate::wire::{self, Connection};

/// The argument that makes this program the stand-in.
pub const STAND_IN: &str = "be-the-stand-in";
/// No server listens here: the load goes to each server's own port, with this name in `Host`.
const SERVER_URL: &str = "http://localhost:3111";
/// An app made by hand: the Node server sends neither `redirect_uri` nor PKCE, which registered clients need.
const CLIENT_ID: &str = "pca_bench";
const CLIENT_SECRET: &str = "client-secret-of-the-bench";
/// How long a server can take to become healthy.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A registration at Postiz takes up to this time, so that a flood of them uses up what the server allows at once.
const REGISTRATION: Duration = Duration::from_millis(200);
const MOST_REGISTRATIONS: usize = 100_000;

/// Without limits: one client opens as many logins as it likes.
pub const UNLIMITED: (&str, &str) = ("RATE_LIMIT_CODES", "0");
/// Polls are answered at once.
pub const NOTHING_HELD: (&str, &str) = ("LONG_POLL_SECONDS", "0");
/// Clients are registered at Postiz, for want of an app.
pub const REGISTERED: [(&str, &str); 2] = [("POSTIZ_OAUTH_CLIENT_ID", ""), ("POSTIZ_OAUTH_CLIENT_SECRET", "")];
/// For 10,000 held polls on one replica, and 17,000. The second variable is that of builds before the first one.
pub const MANY_HELD: (&str, &str) = ("MAX_HELD_POLLS", "12000");
pub const MOST_HELD: (&str, &str) = ("MAX_HELD_POLLS", "20000");

pub struct Stage {
    pub postgres: Postgres,
    pub postiz: Process,
    /// This server, and the Node server if it is measured.
    pub programs: Vec<Program>,
    directory: PathBuf,
}

pub struct Program {
    words: Vec<PathBuf>,
    /// Whether it holds polls.
    pub holds: bool,
}

/// A process that ends with its owner.
pub struct Process {
    child: Child,
    pub port: u16,
}

/// A database for one figure, and a connection to it.
pub struct Database {
    client: Client,
    pub url: String,
}

impl Stage {
    /// Starts the stand-in and a PostgreSQL with its default settings, so with fsync on. `server` is the path of the
    /// binary, `node_server` that of Node.js and of the Node server's build.
    pub fn start(server: PathBuf, node_server: Option<[PathBuf; 2]>) -> Self {
        let postgres = Postgres::start(&[("max_connections", "300")]).expect("a PostgreSQL");
        let directory = std::env::temp_dir().join(format!("postiz-auth-bench-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&directory).unwrap();
        let mut programs = vec![Program { words: vec![server], holds: true }];
        programs.extend(node_server.map(|words| Program { words: words.into(), holds: false }));
        Self { postgres, postiz: stand_in_process(), programs, directory }
    }

    /// Processor time of PostgreSQL.
    pub fn postgres_seconds(&self) -> f64 {
        let pid_file = std::fs::read_to_string(self.postgres.data_dir().join("postmaster.pid")).unwrap();
        machine::cpu_seconds_with_children(pid_file.lines().next().unwrap().parse().unwrap())
    }

    /// An empty directory, which is removed with the stage.
    pub fn empty_directory(&self) -> PathBuf {
        let path = self.directory.join(format!("{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&path).unwrap();
        path
    }

    /// A fresh database.
    pub async fn database(&self) -> Database {
        let name = format!("b_{:016x}", rand::random::<u64>());
        connect(&self.postgres.url("postgres")).await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let url = self.postgres.url(&name);
        Database { client: connect(&url).await, url }
    }

    /// Starts this server and waits until it is healthy.
    pub async fn ours(&self, database: &Database, variables: &[(&str, &str)]) -> Process {
        self.server(&self.programs[0], database, variables).await
    }

    /// Starts a server and waits until it is healthy. A variable without a value is not set.
    pub async fn server(&self, program: &Program, database: &Database, variables: &[(&str, &str)]) -> Process {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let postiz = format!("http://localhost:{}", self.postiz.port);
        let log = File::create(self.directory.join(format!("{port}.log"))).unwrap();
        let mut command = Command::new(&program.words[0]);
        command
            .args(&program.words[1..])
            .env_clear()
            .env("DATABASE_URL", &database.url)
            .env("POSTIZ_OAUTH_CLIENT_ID", CLIENT_ID)
            .env("POSTIZ_OAUTH_CLIENT_SECRET", CLIENT_SECRET)
            .env("PORT", port.to_string())
            .env("SERVER_URL", SERVER_URL)
            .env("POSTIZ_FRONTEND_URL", &postiz)
            .env("POSTIZ_API_URL", format!("{postiz}/api"))
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        for (name, value) in variables {
            if value.is_empty() {
                command.env_remove(name)
            } else {
                command.env(name, value)
            };
        }
        let process = Process { child: command.spawn().unwrap(), port };
        process.healthy().await;
        process
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Database {
    pub async fn empty(&self) {
        self.client.batch_execute("TRUNCATE device_requests").await.unwrap();
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

    pub fn cpu_seconds(&self) -> f64 {
        machine::cpu_seconds(self.pid())
    }

    /// Waits until `/health` answers 200.
    async fn healthy(&self) {
        let begun = Instant::now();
        while self.health().await != Some(200) {
            assert!(begun.elapsed() < START_TIMEOUT, "the server does not become healthy");
            sleep(Duration::from_millis(1)).await;
        }
    }

    async fn health(&self) -> Option<u16> {
        Connection::to(self.port).await.ok()?.status_of(&wire::get("/health", "")).await.ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
pub async fn be_the_stand_in() {
    let app = RegisteredApp {
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        redirect_uri: format!("{SERVER_URL}/device/callback"),
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let stand_in = StandIn::start(app, listener, None).unwrap();
    let registration: Arc<Notify> = Arc::default();
    stand_in.next_registrations(vec![Fault::Hold(Arc::clone(&registration)); MOST_REGISTRATIONS]);
    println!("{port}");
    let _ = std::io::stdout().flush();
    tokio::spawn(async move {
        loop {
            sleep(REGISTRATION).await;
            registration.notify_waiters();
        }
    });
    let _ = spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
}
