//! Replicas are replaced one after the other behind a real load balancer, while people log in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::support::{Browser, Cli, Database, HaProxy, Poll, Stage, eventually, free_port};

/// Logins that are under way at any time.
const AT_A_TIME: usize = 4;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs haproxy"]
async fn every_login_passes_a_rolling_restart() {
    let ports = [free_port(), free_port(), free_port()];
    // All of the crowd comes from one address.
    let mut stage = Stage::empty(Database::new().await, &[("RATE_LIMIT_CODES", "0")]);
    for port in ports {
        stage.variables().insert("PORT", port.to_string());
        stage.start_replica().await;
    }
    let haproxy = HaProxy::before(&ports).await;
    stage.balancer.only(haproxy.port());

    // This one is begun before the first replica goes and approved when the last one is back.
    let (long, browser, consent) = stage.at_consent().await;
    let waiting = tokio::spawn(async move { long.decided().await });
    let cli = stage.cli();
    let crowd = Crowd::start(AT_A_TIME, move || log_in(cli.clone()));
    for port in ports {
        crowd.more().await;
        let leaving = stage.replicas.remove(0);
        leaving.signal("TERM");
        assert_eq!(leaving.ended().await.code(), Some(0));
        crowd.more().await;
        stage.variables().insert("PORT", port.to_string());
        stage.start_replica().await;
        // The test's own balancer knows of HAProxy alone.
        stage.balancer.only(haproxy.port());
    }
    crowd.more().await;
    let done = browser.approve(&consent).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let Poll::Token(token) = waiting.await.unwrap() else { panic!("no token") };
    assert!(stage.postiz.is_live(&token));
    let tokens = crowd.go_home().await;
    assert!(tokens.len() >= 6, "there were logins under way all the while");
    for token in &tokens {
        assert!(stage.postiz.is_live(token), "the terminal got the token that works");
    }
    assert_eq!(stage.postiz.exchanges().len(), tokens.len() + 1, "each code was exchanged once");
}

/// People who log in one after the other, until the test stops them.
pub struct Crowd {
    logins: JoinSet<Vec<String>>,
    finished: Arc<AtomicUsize>,
    leaving: Arc<AtomicBool>,
}

impl Crowd {
    /// This number of people, each of whom goes through `log_in` to a token.
    pub fn start<F>(number: usize, log_in: impl Fn() -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = String> + Send,
    {
        let mut crowd = Self { logins: JoinSet::new(), finished: Arc::default(), leaving: Arc::default() };
        for _ in 0..number {
            let (log_in, finished, leaving) = (log_in.clone(), Arc::clone(&crowd.finished), Arc::clone(&crowd.leaving));
            crowd.logins.spawn(async move {
                let mut tokens = Vec::new();
                while !leaving.load(Ordering::Relaxed) {
                    tokens.push(log_in().await);
                    finished.fetch_add(1, Ordering::Relaxed);
                }
                tokens
            });
        }
        crowd
    }

    /// Returns when two more have logged in.
    pub async fn more(&self) {
        let goal = self.finished.load(Ordering::Relaxed) + 2;
        eventually("two more logins", async || self.finished.load(Ordering::Relaxed) >= goal).await;
    }

    /// Their tokens.
    pub async fn go_home(self) -> Vec<String> {
        self.leaving.store(true, Ordering::Relaxed);
        self.logins.join_all().await.concat()
    }
}

/// No step of it may fail.
async fn log_in(cli: Cli) -> String {
    let (login, browser) = (cli.open().await, Browser::new());
    let held = login.clone();
    let held = tokio::spawn(async move { held.decided().await });
    let consent = browser.confirm(&login).await;
    let done = browser.approve(&consent).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let Poll::Token(token) = held.await.unwrap() else { panic!("no token") };
    token
}
