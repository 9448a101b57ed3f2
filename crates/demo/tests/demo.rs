//! The demo as a person uses it: read the command, sign in, stop.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use url::Url;

const TIMEOUT: Duration = Duration::from_mins(1);

struct Demo {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    output: String,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        command.args(arguments).env("PORT", "0").env_remove("DATABASE_URL").stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines, output: String::new() }
    }

    /// The next line that contains `text`.
    async fn line_with(&mut self, text: &str) -> String {
        let reading = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.output.extend([&line, "\n"]);
                if line.contains(text) {
                    return Some(line);
                }
            }
            None
        };
        let line = timeout(TIMEOUT, reading).await.unwrap_or_default();
        line.unwrap_or_else(|| panic!("no line with {text:?} in:\n{}", self.output))
    }

    /// As Ctrl-C or `docker stop` does it. Returns all that the demo has printed.
    async fn stop(mut self) -> String {
        let pid = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").arg(pid).status().await.unwrap().success());
        self.line_with("To host the server for real").await;
        assert!(timeout(TIMEOUT, self.process.wait()).await.unwrap().unwrap().success());
        self.output
    }
}

/// `HOME` and the server's URL in the printed command.
fn parts(command: &str) -> (&Path, &str) {
    let (home, rest) = command.strip_prefix("HOME=").unwrap().split_once(' ').unwrap();
    (Path::new(home), rest.strip_prefix("npx -y postiz auth:login --auth-server ").unwrap())
}

fn location(response: &Response) -> Url {
    response.url().join(response.headers()["location"].to_str().unwrap()).unwrap()
}

/// Signs in as a terminal and a browser do. Returns the token.
async fn sign_in(server: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = Client::builder().redirect(Policy::none()).cookie_store(true).build().unwrap();
    let opened: Value = http.post(format!("{server}/device/code")).send().await.unwrap().json().await.unwrap();
    // The page gives the browser its key.
    http.get(opened["verification_uri_complete"].as_str().unwrap()).send().await.unwrap();
    let form = [("user_code", opened["user_code"].as_str().unwrap()), ("action", "continue")];
    let confirm = http.post(format!("{server}/device/verify")).header("Sec-Fetch-Site", "same-origin").form(&form);
    let confirmed = confirm.send().await.unwrap();

    let consent = location(&confirmed);
    let mut fields: HashMap<String, String> = consent.query_pairs().into_owned().collect();
    fields.extend([("person", "1"), ("decision", "approve")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    let approved = http.post(consent.join("/oauth/authorize").unwrap()).form(&fields).send().await.unwrap();
    let returned = http.get(location(&approved)).send().await.unwrap();
    assert_eq!(http.get(location(&returned)).send().await.unwrap().status(), 200);

    let poll = json!({ "device_code": opened["device_code"] });
    let answer: Value =
        http.post(format!("{server}/device/token")).json(&poll).send().await.unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_person_signs_in_and_the_demo_removes_its_files() {
    let mut demo = Demo::start(&[]);
    let command = demo.line_with("--auth-server").await;
    let (home, server) = parts(&command);
    assert!(home.is_dir());

    assert!(sign_in(server).await.starts_with("pos_"));
    demo.line_with("registered a client for this login").await;
    demo.line_with("auth:logout").await;

    let output = demo.stop().await;
    assert!(!home.exists());
    assert!(output.contains("The database is removed.") && output.contains("and the CLI's credentials with it"));
    assert!(!output.contains('\x1b'), "colours in a pipe");
}

#[tokio::test]
async fn with_an_app_no_client_is_registered() {
    let mut demo = Demo::start(&["--app"]);
    let command = demo.line_with("--auth-server").await;
    assert!(sign_in(parts(&command).1).await.starts_with("pos_"));
    demo.line_with("An older token of yours no longer works").await;
    assert!(!demo.stop().await.contains("registered a client"));
}

#[tokio::test]
async fn a_chosen_home_is_printed_and_left_alone() {
    let mut demo = Demo::start(&["--home", "/nonexistent/home"]);
    let command = demo.line_with("--auth-server").await;
    assert_eq!(parts(&command).0, Path::new("/nonexistent/home"));
    assert!(demo.stop().await.contains("rm -r /nonexistent/home"));
}
