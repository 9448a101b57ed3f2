//! What Prometheus sees of logins.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use stand_in::Fault;
use tokio::net::TcpStream;

use crate::support::{Browser, CLIENT_SECRET, Poll, Replica, Stage, eventually, get};

const ON: &[(&str, &str)] = &[("METRICS_ADDRESS", "0")];

/// Each series and its value, as the replica shows them.
pub async fn scrape(replica: &Replica) -> BTreeMap<String, f64> {
    let text = scraped_text(replica).await;
    assert!(text.ends_with("# EOF\n"), "{text}");
    let series = text.lines().filter(|line| !line.starts_with('#'));
    series
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

async fn scraped_text(replica: &Replica) -> String {
    let line = replica.logged("metrics are served").await;
    let port = line["address"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let answer = get(format!("http://localhost:{port}/metrics")).await;
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    answer.text().await.unwrap()
}

fn logins(scraped: &BTreeMap<String, f64>, outcome: &str) -> f64 {
    scraped[&format!("postiz_auth_logins_total{{outcome=\"{outcome}\"}}")]
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_served_on_the_chosen_address_only() {
    let stage = Stage::with(1, ON).await;
    let line = stage.replicas[0].logged("metrics are served").await;
    let address: SocketAddr = line["address"].as_str().unwrap().parse().unwrap();
    assert!(address.ip().is_loopback(), "{address}");
    assert!(TcpStream::connect(("127.0.0.2", address.port())).await.is_err(), "another address of this machine");
    assert_eq!(get(format!("{}/metrics", stage.replicas[0].url())).await.status(), 404);
    let without = Stage::new().await;
    assert!(!without.replicas[0].log().contains("metrics are served"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_counted_at_each_step_and_every_series_is_there_from_the_start() {
    let stage = Stage::with(1, ON).await;
    let replica = &stage.replicas[0];
    let before = scrape(replica).await;
    let (login, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    let token = login.decided().await;
    assert_eq!(login.decided().await, token, "a second delivery counts for nothing");
    let denied = stage.cli().open().await;
    let page = browser.visit(&format!("{}?code={}", denied.verification_uri, denied.user_code)).await;
    browser.press(&page, ("action", "deny"), &[]).await;

    let after = scrape(replica).await;
    let steps = ["opened", "confirmed", "approved", "denied", "delivered", "expired"];
    assert_eq!(steps.map(|outcome| logins(&after, outcome)).to_vec(), [2.0, 1.0, 1.0, 1.0, 1.0, 0.0], "{steps:?}");
    for (series, value) in [
        ("postiz_auth_exchanges_total{outcome=\"granted\"}", 1.0),
        ("postiz_auth_approval_to_delivery_seconds_count", 1.0),
        ("postiz_auth_opening_to_delivery_seconds_count", 1.0),
        ("postiz_auth_database_reachable", 1.0),
    ] {
        assert!((after[series] - value).abs() < f64::EPSILON, "{series}: {}", after[series]);
    }
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "no series comes later");
    let text = scraped_text(replica).await;
    let Poll::Token(token) = token else { panic!("no token") };
    for secret in [token.as_str(), &login.device_code, &login.user_code, CLIENT_SECRET, "127.0.0.1"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_exchanges_are_counted_by_their_cause() {
    let stage = Stage::with(1, ON).await;
    let (_, browser, consent) = stage.at_consent().await;
    stage.postiz.next_exchanges([Fault::ClientRefused, Fault::BadGateway, Fault::Garbage]);
    let callback = browser.approve_only(&consent).await;
    for _ in 0..3 {
        browser.visit(&callback).await;
    }
    let scraped = scrape(&stage.replicas[0]).await;
    for outcome in ["client_refused", "failed", "unreadable"] {
        let series = format!("postiz_auth_exchanges_total{{outcome=\"{outcome}\"}}");
        assert!((scraped[&series] - 1.0).abs() < f64::EPSILON, "{series}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn held_polls_and_limits_are_seen() {
    let stage = Stage::with(1, ON).await;
    let replica = &stage.replicas[0];
    let login = stage.cli().open_by_form().await;
    let held = tokio::spawn({
        let login = login.clone();
        async move { login.decided().await }
    });
    eventually("a held poll", async || scrape(replica).await["postiz_auth_polls_held"] >= 1.0).await;
    stage.database.run("UPDATE device_requests SET polled_at = now() - interval '1.5 seconds'").await;
    assert_eq!(login.poll_form().await, Poll::error("slow_down"));
    assert!(scrape(replica).await["postiz_auth_limits_met_total{limit=\"pace\"}"] >= 1.0);
    let browser = Browser::new();
    let page = browser.visit(&format!("{}?code={}", login.verification_uri, login.user_code)).await;
    browser.press(&page, ("action", "deny"), &[]).await;
    held.await.unwrap();
    assert!(scrape(replica).await["postiz_auth_polls_held"].abs() < f64::EPSILON);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undecided_grant_is_counted_and_logged_when_it_is_deleted() {
    let mut stage = Stage::with(1, ON).await;
    stage.cli().open().await;
    let (_, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    stage
        .database
        .run(
            "UPDATE device_requests SET expires_at = now() - interval '2 minutes',
                          settled_at = CASE WHEN settled_at IS NOT NULL THEN now() - interval '2 minutes' END",
        )
        .await;
    // A new replica begins with a cleanup. The first one may be faster.
    stage.start_replica().await;
    eventually("the cleanup", async || stage.database.count("device_requests").await == 0).await;
    let total = async |outcome: &str| {
        let (one, two) = (scrape(&stage.replicas[0]).await, scrape(&stage.replicas[1]).await);
        logins(&one, outcome) + logins(&two, outcome)
    };
    eventually("two deletions in the metrics", async || total("expired").await + total("unclaimed").await >= 2.0).await;
    assert_eq!(vec![total("expired").await, total("unclaimed").await], [1.0, 1.0]);
    let log = stage.replicas.iter().map(Replica::log).collect::<String>();
    assert!(log.contains("nobody decided in time") && log.contains("did not fetch the token"), "{log}");
}

/// The row was altered. The terminal gets an error at once, instead of polling until the login expires.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_its_device_code_cannot_open_is_a_server_error_in_terminal_log_and_metrics() {
    let stage = Stage::with(1, ON).await;
    let (login, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    stage.database.run("UPDATE device_requests SET sealed_token = sealed_token || '\\x00'").await;
    assert_eq!(login.poll().await, Poll::error("server_error"));
    assert_eq!(login.poll_form().await, Poll::error("server_error"));
    let line = stage.replicas[0].logged("does not open the sealed token").await;
    assert_eq!(line["level"], "ERROR");
    assert!(logins(&scrape(&stage.replicas[0]).await, "unreadable") >= 1.0);
}
