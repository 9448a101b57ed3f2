//! The stage: Postgres, replicas, a balancer before them, and two actors.

mod balancer;
mod browser;
mod cli;
mod database;
mod guarded;
mod haproxy;
mod in_time;
mod machine;
mod pgbouncer;
mod proxy;
mod replica;

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postiz_auth_server::grant::{Credentials, SealedToken};
use postiz_auth_server::store::Lease;
use reqwest::Response;
use reqwest::redirect::Policy;
use stand_in::{Fault, RegisteredApp, StandIn};
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub(crate) use browser::{Browser, Page};
pub(crate) use cli::{Cli, Login, Poll};
pub(crate) use database::{Database, cluster, config, connect, new_grant, store};
pub(crate) use guarded::free_port;
pub(crate) use haproxy::HaProxy;
pub(crate) use in_time::{eventually, eventually_some, in_time};
pub(crate) use machine::{Machine, Running};
pub(crate) use pgbouncer::PgBouncer;
pub(crate) use proxy::Proxy;
pub(crate) use replica::Replica;

use balancer::Balancer;
use in_time::TIMEOUT;

pub const CLIENT_SECRET: &str = "client-secret-of-the-tests";
pub const FORM: &str = "application/x-www-form-urlencoded";
pub const JSON: &str = "application/json";
/// A person's browser asks for pages.
pub const HTML: (&str, &str) = ("Accept", "text/html");

/// The files of a folder and of the folders in it; a file is its own only one.
pub fn files(place: &Path) -> Vec<PathBuf> {
    if !place.is_dir() {
        return vec![place.to_owned()];
    }
    let entries = std::fs::read_dir(place).unwrap();
    entries.flat_map(|entry| files(&entry.unwrap().path())).collect()
}

/// A client that trusts nobody: reading the system's authorities takes longer than a whole login.
pub fn http() -> reqwest::ClientBuilder {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).pool_max_idle_per_host(0).timeout(TIMEOUT)
}

/// A GET by a program.
pub async fn get(url: String) -> Response {
    http().build().unwrap().get(url).send().await.unwrap()
}

/// A request by hand: it has no cookies, and follows no redirect.
pub async fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let client = http().redirect(Policy::none()).build().unwrap();
    let request = client.request(method.parse().unwrap(), url).body(body.to_owned());
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
}

/// Fails unless this is an OAuth error by this name; `what` was asked.
pub async fn assert_error(answer: Response, status: u16, error: &str, what: &str) {
    assert_eq!(answer.status(), status, "{what}");
    assert_eq!(answer.headers()["cache-control"], "no-store", "{what}");
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["error"], error, "{what}: {body}");
    assert!(!body["error_description"].as_str().unwrap().is_empty(), "{what}: {body}");
}

/// Everything that one test needs. `SERVER_URL` is the balancer's.
pub struct Stage {
    pub database: Database,
    pub postiz: StandIn,
    pub balancer: Balancer,
    pub replicas: Vec<Replica>,
    variables: HashMap<&'static str, String>,
}

impl Stage {
    /// One replica.
    pub async fn new() -> Self {
        Self::with(1, &[]).await
    }

    /// With `replicas` replicas and further variables.
    pub async fn with(replicas: usize, variables: &[(&'static str, &str)]) -> Self {
        Self::empty(Database::new().await, variables).started(replicas).await
    }

    /// Without an app and without the address of Postiz's front end: a client is registered for each login.
    pub async fn registering(replicas: usize, variables: &[(&'static str, &str)]) -> Self {
        let mut stage = Self::empty(Database::new().await, variables);
        stage.remove_app();
        stage.started(replicas).await
    }

    async fn started(mut self, replicas: usize) -> Self {
        for _ in 0..replicas {
            self.start_replica().await;
        }
        self
    }

    /// From now on, replicas are started without an app.
    pub fn remove_app(&mut self) {
        self.variables.retain(|name, _| !name.starts_with("POSTIZ_OAUTH_") && *name != "POSTIZ_FRONTEND_URL");
    }

    /// No replica yet.
    pub fn empty(database: Database, variables: &[(&'static str, &str)]) -> Self {
        let balancer = Balancer::start();
        let app = RegisteredApp {
            client_id: "pcd_tests".to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            redirect_uri: format!("{}/device/callback", balancer.url()),
        };
        let postiz = StandIn::start(app, TcpListener::bind("127.0.0.1:0").unwrap(), None).unwrap();
        let mut all = HashMap::from([
            ("DATABASE_URL", database.url_for_replicas()),
            ("POSTIZ_OAUTH_CLIENT_ID", "pcd_tests".to_owned()),
            ("POSTIZ_OAUTH_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
            ("PORT", "0".to_owned()),
            ("SERVER_URL", balancer.url()),
            ("POSTIZ_FRONTEND_URL", postiz.frontend_url()),
            ("POSTIZ_API_URL", postiz.api_url()),
            ("DATABASE_POOL_SIZE", "3".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            ("RUST_LOG", "trace".to_owned()),
        ]);
        all.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Self { database, postiz, balancer, replicas: Vec::new(), variables: all }
    }

    /// Starts one more replica and puts it behind the balancer once it is healthy.
    pub async fn start_replica(&mut self) -> &Replica {
        let replica = Replica::start(&self.variables);
        replica.healthy().await;
        self.balancer.add(replica.port());
        self.replicas.push(replica);
        self.replicas.last().unwrap()
    }

    /// The variables that replicas are started with.
    pub fn variables(&mut self) -> &mut HashMap<&'static str, String> {
        &mut self.variables
    }

    /// A terminal that speaks to the balancer.
    pub fn cli(&self) -> Cli {
        Cli::new(&self.balancer.url())
    }

    /// The public address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.balancer.url())
    }

    /// The logs of all replicas.
    pub fn log(&self) -> String {
        self.replicas.iter().map(Replica::log).collect()
    }

    /// Returns when Postiz has received this number of exchanges.
    pub async fn exchange_begun(&self, count: usize) {
        in_time(format!("exchange {count}"), self.postiz.exchange_begun(count)).await;
    }

    /// Opens a login and takes a fresh browser to Postiz's consent page for it.
    pub async fn at_consent(&self) -> (Login, Browser, Page) {
        let login = self.cli().open().await;
        let browser = Browser::new();
        let page = browser.confirm(&login).await;
        assert!(page.text.contains("<h1>Allow "), "{}", page.text);
        (login, browser, page)
    }

    /// Opens a login and approves it in a fresh browser, which is left on Postiz's consent page.
    pub async fn approved(&self) -> (Login, Browser, Page) {
        let (login, browser, consent) = self.at_consent().await;
        browser.approve(&consent).await.assert_shows(200, "");
        (login, browser, consent)
    }

    /// Approves on Postiz's consent page; Postiz keeps the exchange waiting.
    pub async fn held_exchange(&self, browser: &Browser, consent: &Page) -> HeldExchange {
        let (release, begun) = (Arc::new(Notify::new()), self.postiz.exchanges().len());
        self.postiz.next_exchanges([Fault::Hold(Arc::clone(&release))]);
        let (browser, consent) = (browser.clone(), consent.clone());
        let tab = tokio::spawn(async move { browser.approve(&consent).await });
        self.exchange_begun(begun + 1).await;
        HeldExchange { release, tab }
    }

    /// The terminal gets the token that Postiz issued last.
    pub async fn assert_signed_in(&self, login: &Login) {
        assert_eq!(Some(login.decided().await), self.postiz.live_token().map(Poll::Token));
    }

    /// A whole login succeeds.
    pub async fn assert_works(&self) {
        self.assert_signed_in(&self.approved().await.0).await;
    }

    /// Runs `revoke` beside the servers: its exit code, and what it said.
    pub async fn revoke(&self, which: &str) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postiz-auth-server"));
        let run = command.args(["revoke", which]).env_clear().envs(&self.variables).kill_on_drop(true).output();
        let output = in_time("`revoke` to end", run).await.unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }
}

/// A browser's tab whose callback waits for Postiz.
pub struct HeldExchange {
    pub release: Arc<Notify>,
    pub tab: JoinHandle<Page>,
}

impl HeldExchange {
    /// Postiz answers; returns the page that follows.
    pub async fn page(self) -> Page {
        self.release.notify_one();
        self.tab.await.unwrap()
    }
}

/// The token that Postiz granted, sealed to the lease's grant.
pub fn sealed(lease: &Lease, token: &str) -> SealedToken {
    let credentials = Credentials { access_token: token.to_owned().into(), organization_id: None, scope: None };
    lease.sealing_key.seal(&lease.grant, &credentials).unwrap()
}

/// Returns when this number of replicas read the decision feed: then polls are held there.
pub async fn held_on(stage: &Stage, replicas: i64) {
    let looked = "pg_stat_activity WHERE query LIKE '%clock.read_only%' AND datname = current_database()";
    eventually("a held poll", async || stage.database.count(looked).await >= replicas).await;
}
