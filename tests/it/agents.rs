//! Programs sign in without the CLI: `examples/login.sh`, a shell script with curl.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use postiz_auth_server::secret::Secret;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::{Browser, Page, Stage, http, in_time};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/login.sh");

/// A machine without a browser: the script, with a home of its own.
struct Machine {
    home: PathBuf,
    server: String,
}

/// How a run of the script ended: its exit code, the `name=value` lines of its output, and its messages.
type Ended = (Option<i32>, BTreeMap<String, String>, String);

impl Machine {
    fn new(stage: &Stage) -> Self {
        let home = std::env::temp_dir().join(format!("login-sh-{}", &Secret::random().to_base64url()[..12]));
        std::fs::create_dir(&home).unwrap();
        Self { home, server: stage.balancer.url() }
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        #[expect(clippy::disallowed_methods, reason = "where curl is")]
        let path = std::env::var_os("PATH").unwrap();
        Command::new("sh")
            .arg(SCRIPT)
            .args(arguments)
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

    async fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.spawn(arguments)).await
    }

    fn credentials(&self) -> PathBuf {
        self.home.join(".postiz/credentials.json")
    }

    /// The saved credentials are for their owner alone, in the CLI's form, and Postiz takes their token.
    async fn is_signed_in(&self, stage: &Stage) {
        let mode = std::fs::metadata(self.credentials()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let saved: Value = serde_json::from_slice(&std::fs::read(self.credentials()).unwrap()).unwrap();
        assert_eq!(saved.as_object().unwrap().len(), 3, "{saved}");
        assert_eq!((&saved["apiUrl"], &saved["organizationId"]), (&stage.postiz.api_url().into(), &"org_1".into()));
        let channels = format!("{}/public/v1/integrations", saved["apiUrl"].as_str().unwrap());
        let request =
            http().build().unwrap().get(channels).header("Authorization", saved["accessToken"].as_str().unwrap());
        assert_eq!(request.send().await.unwrap().status(), 200);
        let files: Vec<_> = std::fs::read_dir(self.home.join(".postiz")).unwrap().collect();
        assert_eq!(files.len(), 1, "nothing else is left there: {files:?}");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

async fn ended(child: Child) -> Ended {
    let output = in_time("login.sh to end", child.wait_with_output()).await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let values =
        printed.lines().map(|line| line.split_once('=').unwrap()).map(|(name, value)| (name.into(), value.into()));
    (output.status.code(), values.collect(), String::from_utf8(output.stderr).unwrap())
}

/// Follows the script's link up to Postiz's question.
async fn consent(browser: &Browser, link: &str) -> Page {
    let page = browser.visit(link).await;
    browser.press(&page, ("action", "continue"), &[]).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl"]
async fn a_script_signs_in_by_two_runs_none_of_which_waits_for_a_person() {
    let stage = Stage::new().await;
    let machine = Machine::new(&stage);
    let (code, started, said) = machine.run(&["start", "--name", "nightly report"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(started.keys().collect::<Vec<_>>(), ["code", "expires_in", "link", "state"]);
    assert_eq!(started["link"], format!("{}/device/verify?user_code={}", machine.server, started["code"]));
    assert_eq!(std::fs::metadata(&started["state"]).unwrap().permissions().mode() & 0o777, 0o600);

    let (code, _, said) = machine.run(&["finish", "--wait", "0"]).await;
    assert_eq!((code, said.contains("Not decided yet")), (Some(6), true), "{said}");
    assert!(!machine.credentials().exists());

    let browser = Browser::new();
    browser.approve(&consent(&browser, &started["link"]).await).await;
    let (code, finished, said) = machine.run(&["finish"]).await;
    assert_eq!((code, said.contains("Signed in")), (Some(0), true), "{said}");
    assert_eq!(finished["credentials"], machine.credentials().to_str().unwrap());
    machine.is_signed_in(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl"]
async fn a_script_signs_in_by_one_run_that_prints_the_link_at_once_and_survives_a_restart_of_the_server() {
    let mut stage = Stage::new().await;
    let machine = Machine::new(&stage);
    let mut running = machine.spawn(&[]);
    let mut lines = BufReader::new(running.stdout.as_mut().unwrap()).lines();
    let link = in_time("the link", lines.next_line()).await.unwrap().unwrap();
    let link = link.strip_prefix("link=").unwrap().to_owned();
    stage.replicas[0].kill();
    let port = stage.start_replica().await.port();
    stage.balancer.only(port);
    let browser = Browser::new();
    browser.approve(&consent(&browser, &link).await).await;
    let (code, _, said) = ended(running).await;
    assert_eq!((code, said.contains("Signed in")), (Some(0), true), "{said}");
    machine.is_signed_in(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl"]
async fn a_script_says_by_its_exit_code_why_there_is_no_token() {
    let mut stage = Stage::new().await;
    let machine = Machine::new(&stage);
    for arguments in [&["begin"][..], &["start", "--name", "a\"b"], &["start", "--name"], &["finish", "--wait", "-1"]] {
        assert_eq!(machine.run(arguments).await.0, Some(2), "{arguments:?}");
    }
    assert_eq!(machine.run(&["finish"]).await.0, Some(1), "nothing was started");

    let (_, started, _) = machine.run(&["start"]).await;
    let browser = Browser::new();
    let page = browser.visit(&started["link"]).await;
    browser.press(&page, ("action", "deny"), &[]).await;
    let (code, _, said) = machine.run(&["finish"]).await;
    assert_eq!((code, said.contains("denied")), (Some(3), true), "{said}");

    let (_, started, _) = machine.run(&["start"]).await;
    crate::revocations::revoke(&mut stage, &started["code"]).await;
    let (code, _, said) = machine.run(&["finish"]).await;
    assert_eq!((code, said.contains("revoked")), (Some(4), true), "{said}");

    // A file where the folder should be: nobody can write below it, root included. No person is asked in vain.
    std::fs::remove_dir_all(machine.home.join(".postiz")).unwrap();
    std::fs::write(machine.home.join(".postiz"), "").unwrap();
    let opened = stage.database.count("device_requests").await;
    assert_eq!(machine.run(&["start"]).await.0, Some(5));
    assert_eq!(stage.database.count("device_requests").await, opened);
}
