//! The published `postiz` from npm signs in. `scripts/test` installs it and names it in `POSTIZ_CLI`.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use postiz_auth_server::secret::Secret;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::{Browser, Stage, in_time};

struct RealCli {
    home: PathBuf,
    server: String,
}

impl RealCli {
    fn new(server: &str) -> Self {
        let home = std::env::temp_dir().join(format!("postiz-cli-{}", &Secret::random().to_base64url()[..12]));
        std::fs::create_dir(&home).unwrap();
        Self { home, server: server.to_owned() }
    }

    /// Runs `postiz` with these arguments, separated by spaces.
    fn run(&self, arguments: &str) -> Child {
        #[expect(clippy::disallowed_methods, reason = "the test's own setting")]
        let cli = std::env::var("POSTIZ_CLI").expect("the CLI's file in POSTIZ_CLI");
        #[expect(clippy::disallowed_methods, reason = "where node is")]
        let path = std::env::var_os("PATH").unwrap();
        Command::new("node")
            .arg(cli)
            .args(arguments.split(' '))
            .env_clear()
            .env("PATH", path)
            .env("HOME", &self.home)
            .env("POSTIZ_AUTH_SERVER", &self.server)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    async fn output(&self, command: &str) -> String {
        let output = in_time(command, self.run(command).wait_with_output()).await.unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    async fn log_in(&self) -> (Child, String, Arc<Mutex<String>>) {
        self.log_in_with("auth:login").await
    }

    /// Starts a login and returns it with its output so far, once it has printed the user code.
    async fn log_in_with(&self, arguments: &str) -> (Child, String, Arc<Mutex<String>>) {
        let mut child = self.run(arguments);
        let printed = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let kept = Arc::clone(&printed);
        let (found, code) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let mut found = Some(found);
            while let Ok(Some(line)) = lines.next_line().await {
                if let (Some(code), true) = (user_code(&line), found.is_some()) {
                    let _ = found.take().unwrap().send(code);
                }
                kept.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let code = in_time("the CLI's user code", code).await.unwrap_or_else(|_| panic!("{}", printed.lock().unwrap()));
        (child, code, printed)
    }
}

impl Drop for RealCli {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// The code in the box that the CLI draws.
fn user_code(line: &str) -> Option<String> {
    let word = |word: &&str| {
        word.len() == 9 && word.as_bytes()[4] == b'-' && word.bytes().filter(u8::is_ascii_uppercase).count() == 8
    };
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').find(word).map(str::to_owned)
}

async fn finished(mut child: Child, printed: &Mutex<String>) -> (Option<i32>, String) {
    let status = in_time("the CLI to end", child.wait()).await.unwrap();
    let mut errors = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut child.stderr.take().unwrap(), &mut errors).await.unwrap();
    let text = format!("{}{errors}", printed.lock().unwrap());
    (status.code(), text)
}

async fn consent(stage: &Stage, browser: &Browser, code: &str) -> crate::support::Page {
    let page = browser.visit(&format!("{}/device/verify?code={code}", stage.balancer.url())).await;
    browser.press(&page, ("action", "continue"), &[]).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs POSTIZ_CLI"]
async fn the_cli_signs_in_through_one_replica_with_the_browser_on_another() {
    let stage = Stage::with(2, &[]).await;
    stage.balancer.only(stage.replicas[1].port());
    let cli = RealCli::new(&stage.replicas[0].url());
    let (child, code, printed) = cli.log_in().await;
    let browser = Browser::new();
    let page = consent(&stage, &browser, &code).await;
    browser.approve(&page).await;
    let (status, text) = finished(child, &printed).await;
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("Successfully authenticated!"), "{text}");
    let saved = std::fs::read_to_string(cli.home.join(".postiz/credentials.json")).unwrap();
    assert!(saved.contains(&stage.postiz.live_token().unwrap()) && saved.contains("org_1"), "{saved}");
    let shown = cli.output("auth:status").await;
    assert!(shown.to_lowercase().contains("valid"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs POSTIZ_CLI"]
async fn the_cli_says_that_it_can_not_save_its_token() {
    let stage = Stage::new().await;
    let cli = RealCli::new(&stage.balancer.url());
    // A file where its folder should be: nobody can write below it, root included.
    std::fs::write(cli.home.join(".postiz"), "").unwrap();
    let (child, code, printed) = cli.log_in().await;
    let browser = Browser::new();
    let page = consent(&stage, &browser, &code).await;
    browser.approve(&page).await;
    let (status, text) = finished(child, &printed).await;
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("can't save it") && text.contains("~/.postiz"), "{text}");
    let command = format!("Then run: postiz auth:login --auth-server {}\n", stage.balancer.url());
    assert!(text.contains(&command), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs POSTIZ_CLI"]
async fn the_command_on_a_page_starts_a_login_at_the_server_of_that_page() {
    let stage = Stage::new().await;
    let browser = Browser::new();
    let command = browser.visit(&stage.balancer.url()).await.command().unwrap();
    // The variable names another server, at which nothing listens.
    let cli = RealCli::new("http://localhost:9");
    let (child, code, printed) = cli.log_in_with(command.strip_prefix("postiz ").unwrap()).await;
    let page = consent(&stage, &browser, &code).await;
    browser.approve(&page).await;
    let (status, text) = finished(child, &printed).await;
    assert_eq!(status, Some(0), "{text}");
}

/// Pages of that server show `postiz auth:login` without an address.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs POSTIZ_CLI"]
async fn the_cli_has_the_default_server_that_pages_leave_out() {
    let help = RealCli::new("").output("auth:login --help").await;
    assert!(help.contains("(default: https://cli-auth.postiz.com)"), "{help}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs POSTIZ_CLI"]
async fn the_cli_prints_a_denial() {
    let stage = Stage::new().await;
    let cli = RealCli::new(&stage.balancer.url());
    let (child, code, printed) = cli.log_in().await;
    let browser = Browser::new();
    let page = consent(&stage, &browser, &code).await;
    browser.press(&page, ("decision", "deny"), &[]).await;
    let (status, text) = finished(child, &printed).await;
    assert_eq!(status, Some(1), "{text}");
    assert!(!text.contains("Successfully"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs POSTIZ_CLI"]
async fn the_cli_prints_a_revocation_as_a_sentence() {
    let mut stage = Stage::with(2, &[]).await;
    let cli = RealCli::new(&stage.replicas[0].url());
    let (child, code, printed) = cli.log_in().await;
    let (exit, said) = crate::revocations::revoke(&mut stage, &code).await;
    assert_eq!(exit, Some(0), "{said}");
    let (status, text) = finished(child, &printed).await;
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("Authorization expired. Please try again."), "{text}");
}

/// The CLI on one machine, approved in this browser.
async fn signed_in(stage: &Stage, cli: &RealCli, browser: &Browser) {
    let (child, code, printed) = cli.log_in().await;
    let page = consent(stage, browser, &code).await;
    assert!(page.says(&code.replace('-', "\u{2011}")), "the consent page shows the terminal's code: {}", page.text);
    browser.approve(&page).await;
    let (status, text) = finished(child, &printed).await;
    assert_eq!(status, Some(0), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs POSTIZ_CLI"]
async fn the_cli_stays_signed_in_on_two_machines_of_one_person_without_an_app() {
    let stage = Stage::registering(2, &[]).await;
    let [one, two] = [&stage.replicas[0], &stage.replicas[1]].map(|replica| RealCli::new(&replica.url()));
    let browser = Browser::new();
    signed_in(&stage, &one, &browser).await;
    signed_in(&stage, &two, &browser).await;
    for cli in [&one, &two] {
        let shown = cli.output("auth:status").await.to_lowercase();
        assert!(shown.contains("valid") && !shown.contains("invalid"), "{shown}");
    }
    assert_eq!(stage.postiz.clients().len(), 2);
}
