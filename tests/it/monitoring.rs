//! `docs/monitoring` with a real Prometheus: it reads our metrics, the rules and what the dashboard asks for.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::{Child, Command};

use crate::support::{Replica, Stage, eventually_some, http, in_time};

fn docs(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring").join(file)
}

struct Prometheus {
    url: String,
    directory: PathBuf,
    _process: Child,
}

impl Prometheus {
    /// Scrapes a replica twice a second, with our rules, in the way of our example.
    async fn of(replica: &Replica) -> Self {
        let line = replica.logged("metrics are served").await;
        let target = line["address"].as_str().unwrap().replace("[::]", "localhost");
        let directory = std::env::temp_dir().join(format!("prometheus-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&directory).unwrap();
        let example = std::fs::read_to_string(docs("prometheus.yml")).unwrap();
        let configuration = example
            .replace("localhost:9464", &target)
            .replace("15s", "500ms")
            .replace("[alerts.yml]", &format!("[{}]", docs("alerts.yml").display()));
        std::fs::write(directory.join("prometheus.yml"), configuration).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address={free}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus on the PATH");
        Self { url: format!("http://{free}"), directory, _process: process }
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let mut url = url::Url::parse(&format!("{}/api/v1/{path}", self.url)).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        let answer = http().build().unwrap().get(url).send().await.ok()?;
        let body: Value = answer.json().await.ok()?;
        assert_eq!(body["status"], "success", "{query:?}: {body}");
        Some(body["data"].clone())
    }

    /// What an expression gives, once it gives something.
    async fn evaluates(&self, expression: &str) -> Value {
        let look = async || {
            let found = self.get("query", &[("query", expression)]).await?;
            Some(found["result"].clone()).filter(|result| result.as_array().is_some_and(|result| !result.is_empty()))
        };
        eventually_some(format!("Prometheus to answer {expression}"), look).await
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn expressions() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&std::fs::read_to_string(docs("grafana-dashboard.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().replace("$__rate_interval", "1m")).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prometheus"]
async fn prometheus_has_an_answer_to_everything_that_the_dashboard_asks() {
    let stage = Stage::with(1, &[("METRICS_ADDRESS", "0")]).await;
    let prometheus = Prometheus::of(&stage.replicas[0]).await;
    prometheus.evaluates("up == 1").await;
    let (login, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    login.decided().await;
    let delivered = prometheus.evaluates("postiz_auth_logins_total{outcome=\"delivered\"} > 0").await;
    assert_eq!(delivered[0]["value"][1], "1");
    assert_eq!(delivered[0]["metric"]["job"], "postiz-auth-server");
    for expression in expressions() {
        prometheus.evaluates(&expression).await;
    }
    let rules = prometheus.get("rules", &[]).await.unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() > 10 && rules.iter().all(|rule| rule["lastError"].is_null()), "{rules:?}");
    let metadata = prometheus.get("metadata", &[]).await.unwrap();
    for name in metadata.as_object().unwrap().keys().filter(|name| name.starts_with("postiz_auth")) {
        let asked = expressions().iter().chain([&alerts()]).any(|text| text.contains(name.trim_end_matches("_total")));
        assert!(asked, "{name} is measured, and neither dashboard nor alerts look at it");
    }
}

fn alerts() -> String {
    std::fs::read_to_string(docs("alerts.yml")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prometheus"]
async fn each_alert_is_raised_by_its_fault_and_by_nothing_else() {
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let run = Command::new("promtool").args(arguments).current_dir(docs("")).kill_on_drop(true).output();
        let output = in_time("promtool", run).await.expect("promtool on the PATH");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
    }
    let tests = std::fs::read_to_string(docs("alerts_test.yml")).unwrap();
    for alert in alerts().lines().filter_map(|line| line.split_once("alert: ")) {
        assert!(tests.contains(&format!("alertname: {}\n", alert.1)), "{} has a fault that raises it", alert.1);
    }
}
