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
    let crowd = Crowd::start(&stage.cli());
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

/// People who log in one after the other, until the test stops them. None of them gets an error.
struct Crowd {
    logins: JoinSet<Vec<String>>,
    finished: Arc<AtomicUsize>,
    leaving: Arc<AtomicBool>,
}

impl Crowd {
    fn start(cli: &Cli) -> Self {
        let (finished, leaving) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let logins = (0..AT_A_TIME)
            .map(|_| {
                let (cli, finished, leaving) = (cli.clone(), Arc::clone(&finished), Arc::clone(&leaving));
                async move {
                    let mut tokens = Vec::new();
                    while !leaving.load(Ordering::Relaxed) {
                        tokens.push(log_in(&cli).await);
                        finished.fetch_add(1, Ordering::Relaxed);
                    }
                    tokens
                }
            })
            .collect();
        Self { logins, finished, leaving }
    }

    /// Returns when two more have logged in.
    async fn more(&self) {
        let goal = self.finished.load(Ordering::Relaxed) + 2;
        eventually("two more logins", async || self.finished.load(Ordering::Relaxed) >= goal).await;
    }

    async fn go_home(self) -> Vec<String> {
        self.leaving.store(true, Ordering::Relaxed);
        self.logins.join_all().await.concat()
    }
}

async fn log_in(cli: &Cli) -> String {
    let (login, browser) = (cli.open().await, Browser::new());
    let held = tokio::spawn({
        let login = login.clone();
        async move { login.decided().await }
    });
    let consent = browser.confirm(&login).await;
    let done = browser.approve(&consent).await;
    assert_eq!(done.status, 200, "{}", done.text);
    match held.await.unwrap() {
        Poll::Token(token) => token,
        Poll::Error(error) => panic!("{error}"),
    }
}
