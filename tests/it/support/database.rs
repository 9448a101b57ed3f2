//! One Postgres for all tests of this process, and a database of its own for each.

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use postiz_auth_server::config::Config;
use postiz_auth_server::db;
use postiz_auth_server::store::{NewGrant, Store};
use stand_in::Postgres;
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls, Row};

use super::PgBouncer;

/// Shared by all tests; its guard ends it with this process.
pub fn cluster() -> &'static Postgres {
    static CLUSTER: OnceLock<Postgres> = OnceLock::new();
    CLUSTER.get_or_init(|| Postgres::start(&[("fsync", "off"), ("max_connections", "300")]).expect("a PostgreSQL"))
}

/// Between the replicas and the cluster where `TEST_POOLER` says so; `scripts/test` runs the logins' tests that way, too.
async fn pooler() -> Option<&'static PgBouncer> {
    static POOLER: OnceCell<Option<PgBouncer>> = OnceCell::const_new();
    let start = || async {
        #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
        match std::env::var("TEST_POOLER").as_deref() {
            Err(_) => None,
            Ok("pgbouncer") => Some(PgBouncer::start().await),
            Ok(other) => panic!("TEST_POOLER={other}"),
        }
    };
    POOLER.get_or_init(start).await.as_ref()
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// A configuration with the database at `url`, an app, and further variables.
pub fn config(url: &str, more: &[(&str, &str)]) -> Config {
    let required = [("DATABASE_URL", url), ("POSTIZ_OAUTH_CLIENT_ID", "pca_x"), ("POSTIZ_OAUTH_CLIENT_SECRET", "x")];
    let variables = required.iter().chain(more).map(|(name, value)| (name.into(), value.into()));
    Config::from_vars(variables).unwrap()
}

/// A store as a replica has one.
pub fn store(config: &Config) -> Store {
    Store::new(config, db::Database::new(config).unwrap())
}

/// What the CLI opens, from an unknown address.
pub fn new_grant() -> NewGrant {
    NewGrant { requester: None, client_id: None, interval: Duration::from_secs(1) }
}

pub struct Database {
    url: String,
    url_for_replicas: String,
}

impl Database {
    /// An empty database in the shared cluster.
    pub async fn new() -> Self {
        let cluster = tokio::task::spawn_blocking(cluster).await.unwrap();
        let name = format!("t_{:016x}", rand::random::<u64>());
        let admin = connect(&cluster.url("postgres")).await;
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let url = cluster.url(&name);
        let url_for_replicas = pooler().await.map_or_else(|| url.clone(), |pooler| pooler.url(&name));
        Self { url, url_for_replicas }
    }

    /// The same, with this pooler before it.
    pub async fn behind(pooler: &PgBouncer) -> Self {
        let database = Self::new().await;
        let name = database.url.rsplit('/').next().unwrap();
        Self { url_for_replicas: pooler.url(name), ..database }
    }

    /// A database in a cluster that the test owns.
    pub fn at(url: String) -> Self {
        Self { url_for_replicas: url.clone(), url }
    }

    /// A store on it, as a replica has one; it holds nobody off.
    pub fn store(&self) -> Store {
        store(&config(&self.url_for_replicas, &[("DATABASE_POOL_SIZE", "4"), ("RATE_LIMIT_GUESSES", "0")]))
    }

    /// What a replica is to be started with.
    pub fn url_for_replicas(&self) -> String {
        self.url_for_replicas.clone()
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
