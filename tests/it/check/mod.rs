//! `check` names the faults of a set-up, and finds none in a good one.
//!
//! The verdicts on what PostgreSQL, Postiz and proxies answer have unit tests. Here are the questions, one fault of each kind.

mod postgres;
mod postiz;
mod server_url;

use std::collections::HashMap;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::encryption::PUBLIC;
use crate::support::{CLIENT_SECRET, Database, Proxy, Stage, in_time};

/// The output of `check --json`.
struct Report {
    code: Option<i32>,
    json: Value,
    text: String,
}

impl Report {
    fn findings(&self) -> impl Iterator<Item = &Value> {
        self.json["findings"].as_array().unwrap().iter()
    }

    /// Panics unless this check, among others, has this verdict with these words, and a fix if it is a complaint.
    #[track_caller]
    fn says(&self, check: &str, verdict: &str, words: &[&str]) {
        let said = |finding: &&Value| {
            let text = finding.to_string();
            let has_fix = finding["fix"].is_string() || !["warn", "fail"].contains(&verdict);
            finding["check"] == check
                && finding["verdict"] == verdict
                && has_fix
                && words.iter().all(|word| text.contains(word))
        };
        assert!(self.findings().any(|finding| said(&finding)), "{check} {verdict} {words:?}: {}", self.text);
    }

    /// The same for a failure, which the exit code shows, too.
    #[track_caller]
    fn blames(&self, check: &str, words: &[&str]) {
        self.says(check, "fail", words);
        assert_eq!(self.code, Some(1), "{}", self.text);
    }

    /// The checks whose verdict is not `ok`.
    fn complaints(&self) -> Vec<&str> {
        let complaints = self.findings().filter(|finding| finding["verdict"] != "ok");
        complaints.map(|finding| finding["check"].as_str().unwrap()).collect()
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

/// A server that gives every request this answer: a status, headers, and a body.
async fn answering(head: &str, body: &str) -> String {
    let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
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
    for with_app in [true, false] {
        if !with_app {
            stage.remove_app();
        }
        let report = check(&mut stage, &[]).await;
        assert_eq!((report.code, report.complaints()), (Some(0), Vec::<&str>::new()), "{}", report.text);
        assert_eq!(report.json["verdict"], "ok");
        for check in ["configuration", "server_url.reach", "postgres.rights", "postiz.client"] {
            report.says(check, "ok", &[]);
        }
    }
    assert_eq!(stage.postiz.clients().len(), 1, "registered once, without an app");
    let (code, text) = output(&["check"], stage.variables()).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("\nEverything is ok.") && text.contains("leads to this server"), "{text}");
    assert_eq!(stage.postiz.exchanges().len(), 0, "nothing was exchanged");
    assert_eq!(stage.database.count("device_requests").await, 0, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_logs_what_check_finds_and_serves_anyway() {
    let url = Database::new().await.url().replace("127.0.0.1", PUBLIC) + "?sslmode=prefer";
    let wrong = [("POSTIZ_OAUTH_CLIENT_SECRET", "hunter2"), ("SSL_CERT_FILE", "/nothing/authority.pem")];
    let mut stage = Stage::empty(Database::at(url), &wrong);
    stage.start_replica().await;
    let replica = &stage.replicas[0];
    let line = replica.logged("\"check\":\"postiz.client\"").await;
    assert_eq!((line["level"].as_str(), line["fix"].is_string()), (Some("ERROR"), true), "{line}");
    for words in ["/nothing/authority.pem", "is not on a private network"] {
        let line = replica.logged(words).await;
        assert_eq!(line["level"], "WARN", "{line}");
    }
    assert_eq!(replica.health().await, 200);
    let report = check(&mut stage, &[]).await;
    report.says("configuration", "warn", &["/nothing/authority.pem", "SSL_CERT_FILE"]);
    report.says("configuration", "warn", &["sslmode=verify-full"]);
}
