//! `check` names the faults of a set-up, and finds none in a good one.

mod postgres;
mod postiz;
mod server_url;

use std::collections::HashMap;
use std::net::TcpListener;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::support::{CLIENT_SECRET, Database, Proxy, Stage, in_time};

/// The output of `check --json`.
struct Report {
    code: Option<i32>,
    json: Value,
    text: String,
}

impl Report {
    /// The verdicts and sentences of one check.
    fn of(&self, check: &str) -> Vec<(&str, String)> {
        let findings = self.json["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == check);
        findings.map(|finding| (finding["verdict"].as_str().unwrap(), finding.to_string())).collect()
    }

    /// Panics unless this check, among others, failed with these words and a fix.
    #[track_caller]
    fn blames(&self, check: &str, words: &[&str]) {
        let named = |(verdict, text): &(&str, String)| {
            *verdict == "fail" && text.contains("\"fix\"") && words.iter().all(|word| text.contains(word))
        };
        assert!(self.of(check).iter().any(named), "{check} {words:?}: {}", self.text);
        assert_eq!(self.code, Some(1), "{}", self.text);
    }

    /// The checks whose verdict is not `ok`.
    fn complaints(&self) -> Vec<&str> {
        let findings = self.json["findings"].as_array().unwrap().iter();
        findings
            .filter(|finding| finding["verdict"] != "ok")
            .map(|finding| finding["check"].as_str().unwrap())
            .collect()
    }
}

async fn output(arguments: &[&str], variables: &HashMap<&'static str, String>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postiz-auth-server"));
    let run = command.args(arguments).env_clear().envs(variables).kill_on_drop(true).output();
    let output = in_time("`check` to end", run).await.unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Checks the stage's own set-up with some variables replaced.
async fn check(stage: &mut Stage, instead: &[(&'static str, &str)]) -> Report {
    let mut variables = stage.variables().clone();
    if let Some(replica) = stage.replicas.first() {
        variables.insert("PORT", replica.port().to_string());
    }
    variables.extend(instead.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let (code, text) = output(&["check", "--json"], &variables).await;
    assert!(!text.contains(CLIENT_SECRET) && !text.contains("hunter2"), "{text}");
    Report { code, json: serde_json::from_str(&text).unwrap(), text }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that gives every request this answer.
async fn answering(answer: &'static str) -> String {
    serving(move |_| answer.to_owned()).await
}

/// A server that answers each request by its path.
async fn serving(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = head.split(' ').nth(1).and_then(|target| target.split('?').next()).unwrap_or_default();
            let _ = stream.write_all(answer(path).as_bytes()).await;
        }
    });
    url
}

/// One replica behind a proxy that ends TLS.
async fn behind(proxy: &Proxy, variables: &[(&'static str, &str)]) -> Stage {
    let (url, authority) = (proxy.url(), proxy.authority());
    let variables = [&[("SERVER_URL", url.as_str()), ("SSL_CERT_FILE", authority.as_str())], variables].concat();
    let mut stage = Stage::empty(Database::new().await, &variables);
    stage.postiz.set_redirect_uri(&format!("{url}/device/callback"));
    stage.start_replica().await;
    proxy.pass_to(stage.replicas[0].port());
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_set_up_is_ok_in_text_and_json() {
    let proxy = Proxy::start(&[], &["X-Forwarded-For: 203.0.113.9"]);
    let mut stage = behind(&proxy, &[]).await;
    let report = check(&mut stage, &[]).await;
    assert_eq!(report.complaints(), [] as [&str; 0], "{}", report.text);
    assert_eq!((report.code, report.json["verdict"].as_str()), (Some(0), Some("ok")));
    for check in ["configuration", "server_url.reach", "postgres.rights", "postiz.callback", "postiz.client_secret"] {
        assert_eq!(report.of(check).len(), 1, "{check}: {}", report.text);
    }
    let (code, text) = output(&["check"], stage.variables()).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("\nEverything is ok.") && text.contains("leads to this server"), "{text}");
    assert_eq!(stage.postiz.exchanges().len(), 0, "nothing was exchanged");
    assert_eq!(stage.database.count("device_requests").await, 0, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_set_up_without_an_app_is_ok_and_registers_one_client() {
    let proxy = Proxy::start(&[], &["X-Forwarded-For: 203.0.113.9"]);
    let mut stage = behind(&proxy, &[]).await;
    stage.remove_app();
    let report = check(&mut stage, &[]).await;
    assert_eq!((report.code, report.complaints()), (Some(0), Vec::<&str>::new()), "{}", report.text);
    let [("ok", found)] = &report.of("postiz.registration")[..] else { panic!("{}", report.text) };
    let clients = stage.postiz.clients();
    assert!(clients.len() == 1 && found.contains(&clients[0].client_id), "{found}");
    assert_eq!(report.of("postiz.client_id").len() + report.of("postiz.client_secret").len(), 0, "{}", report.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_variable_that_can_not_be_used_is_named_at_once() {
    let variables = HashMap::from([
        ("DATABASE_URL", "postgres://user:hunter2@/nothing".to_owned()),
        ("POSTIZ_OAUTH_CLIENT_ID", "pca_tests".to_owned()),
        ("PORT", "http".to_owned()),
        ("SERVER_URL", "auth.example.com".to_owned()),
    ]);
    let (code, text) = output(&["check", "--json"], &variables).await;
    assert_eq!(code, Some(78));
    let json: Value = serde_json::from_str(&text).unwrap();
    let named: Vec<_> = json["findings"].as_array().unwrap().iter().map(|f| f["what"].as_str().unwrap()).collect();
    for name in ["DATABASE_URL", "POSTIZ_OAUTH_CLIENT_SECRET", "PORT", "SERVER_URL"] {
        assert!(named.iter().any(|what| what.starts_with(name)), "{name}: {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    let (code, text) = output(&["check"], &variables).await;
    assert_eq!(code, Some(78));
    assert!(text.contains("failed: 4"), "{text}");
    let fits = |line: &str| line.chars().count() <= 80 || !line.trim().contains(' ');
    assert!(text.lines().all(fits), "wrapped, except for words that are longer: {text}");
    // Words may be separated by a line break.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(text.matches("does not start until it is fixed").count(), 4, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_logs_failed_checks_and_serves_anyway() {
    let stage = Stage::with(1, &[("POSTIZ_OAUTH_CLIENT_SECRET", "hunter2")]).await;
    let replica = &stage.replicas[0];
    let line = replica.logged("\"check\":\"postiz.client_secret\"").await;
    assert_eq!((line["level"].as_str(), line["fix"].is_string()), (Some("ERROR"), true), "{line}");
    assert_eq!(replica.health().await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_can_not_be_read_is_warned_of_at_the_start_and_by_check() {
    let mut stage = Stage::with(1, &[("SSL_CERT_FILE", "/nothing/authority.pem")]).await;
    let line = stage.replicas[0].logged("/nothing/authority.pem").await;
    assert_eq!(line["level"], "WARN", "{line}");
    let report = check(&mut stage, &[]).await;
    let [(verdict, text)] = report.of("configuration").try_into().unwrap();
    assert!(verdict == "warn" && text.contains("SSL_CERT_FILE") && text.contains("/nothing/"), "{}", report.text);
}

/// Hosts that accept connections and say nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_takes_at_most_twenty_seconds() {
    let mut stage = Stage::empty(Database::new().await, &[]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let (database, http) = (format!("postgres://a:b@127.0.0.1:{port}/c"), format!("http://127.0.0.1:{port}"));
    let api = format!("{http}/api");
    for with_app in [true, false] {
        if !with_app {
            stage.remove_app();
        }
        let begun = std::time::Instant::now();
        let silent = [("DATABASE_URL", database.as_str()), ("SERVER_URL", &http), ("POSTIZ_API_URL", &api)];
        let report = check(&mut stage, &silent).await;
        assert!(begun.elapsed().as_secs() < 20, "{:?}: {}", begun.elapsed(), report.text);
        report.blames("postgres.reach", &["no answer from 127.0.0.1 within 3s"]);
        report.blames("postiz.api", &["does not answer in time"]);
    }
}
