//! One Postgres for all tests of this process, and a database of its own for each.

use std::process::Command;
use std::sync::OnceLock;

use postiz_auth_server::demo::Postgres;
use tokio_postgres::{Client, NoTls, Row};

/// Shared by all tests; its guard ends it with this process.
pub fn cluster() -> &'static Postgres {
    static CLUSTER: OnceLock<Postgres> = OnceLock::new();
    CLUSTER.get_or_init(|| Postgres::start(&[("fsync", "off"), ("max_connections", "300")]).expect("a PostgreSQL"))
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

pub struct Database {
    url: String,
}

impl Database {
    /// An empty database in the shared cluster.
    pub async fn new() -> Self {
        let cluster = tokio::task::spawn_blocking(cluster).await.unwrap();
        let name = format!("t_{:016x}", rand::random::<u64>());
        let admin = connect(&cluster.url("postgres")).await;
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        Self { url: cluster.url(&name) }
    }

    /// A database in a cluster that the test owns.
    pub fn at(url: String) -> Self {
        Self { url }
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Runs SQL, as to age a row.
    pub async fn run(&self, sql: &str) {
        connect(&self.url).await.batch_execute(sql).await.unwrap();
    }

    pub async fn rows(&self, sql: &str) -> Vec<Row> {
        connect(&self.url).await.query_typed(sql, &[]).await.unwrap()
    }

    pub async fn count(&self, of: &str) -> i64 {
        self.rows(&format!("SELECT count(*) FROM {of}")).await[0].get(0)
    }

    /// All of it, as `pg_dump` writes it.
    pub fn dump(&self) -> String {
        let output = Command::new(cluster().bin_dir().join("pg_dump")).arg(&self.url).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}
