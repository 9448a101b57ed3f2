//! Programs sign in without the CLI: `examples/login.sh`, a shell script with curl.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::support::{Browser, Machine, Running, Stage, send};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/login.sh");

fn start(machine: &Machine, arguments: &[&str]) -> Running {
    machine.start("sh", &[&[SCRIPT], arguments].concat())
}

/// Runs the script, which ends with this code and says this; returns its output.
async fn run(machine: &Machine, arguments: &[&str], code: i32, words: &str) -> String {
    let ended = start(machine, arguments).ended().await;
    ended.assert(code, words);
    ended.printed
}

/// The value of a line `name=value`.
fn value<'a>(printed: &'a str, name: &str) -> &'a str {
    let mut pairs = printed.lines().filter_map(|line| line.split_once('='));
    pairs.find(|(found, _)| *found == name).unwrap_or_else(|| panic!("no {name} in {printed}")).1
}

fn mode(file: impl AsRef<Path>) -> u32 {
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

/// Follows the script's link and approves.
async fn approve(link: &str) {
    let browser = Browser::new();
    let page = browser.visit(link).await;
    browser.approve(&browser.go_on(&page).await).await;
}

/// The saved credentials are for their owner alone, in the CLI's form, and Postiz takes their token.
async fn assert_signed_in(machine: &Machine, stage: &Stage) {
    assert_eq!(mode(machine.credentials()), 0o600);
    let saved: Value = serde_json::from_slice(&std::fs::read(machine.credentials()).unwrap()).unwrap();
    assert_eq!(saved.as_object().unwrap().len(), 3, "{saved}");
    assert_eq!((&saved["apiUrl"], &saved["organizationId"]), (&stage.postiz.api_url().into(), &"org_1".into()));
    let channels = format!("{}/public/v1/integrations", stage.postiz.api_url());
    let token = saved["accessToken"].as_str().unwrap();
    assert_eq!(send("GET", &channels, &[("Authorization", token)], "").await.status(), 200);
    let files: Vec<_> = std::fs::read_dir(machine.home.join(".postiz")).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing else is left there: {files:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl"]
async fn a_script_signs_in_by_two_runs_none_of_which_waits_for_a_person() {
    let stage = Stage::new().await;
    let machine = Machine::new(&stage.balancer.url());
    let started = run(&machine, &["start", "--name", "nightly report"], 0, "expires_in=").await;
    let (link, code) = (value(&started, "link"), value(&started, "code"));
    assert_eq!(link, stage.url(&format!("/device/verify?user_code={code}")));
    assert_eq!(mode(value(&started, "state")), 0o600);

    run(&machine, &["finish", "--wait", "0"], 6, "Not decided yet").await;
    assert!(!machine.credentials().exists());

    approve(link).await;
    let finished = run(&machine, &["finish"], 0, "Signed in").await;
    assert_eq!(value(&finished, "credentials"), machine.credentials().to_str().unwrap());
    assert_signed_in(&machine, &stage).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl"]
async fn a_script_signs_in_by_one_run_that_prints_the_link_at_once_and_survives_a_restart_of_the_server() {
    let mut stage = Stage::new().await;
    let machine = Machine::new(&stage.balancer.url());
    let mut running = start(&machine, &[]);
    let link = running.printed(|line| line.strip_prefix("link=").map(str::to_owned)).await;
    stage.replicas[0].kill();
    let port = stage.start_replica().await.port();
    stage.balancer.only(port);
    approve(&link).await;
    running.ended().await.assert(0, "Signed in");
    assert_signed_in(&machine, &stage).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl"]
async fn a_script_says_by_its_exit_code_why_there_is_no_token() {
    let stage = Stage::new().await;
    let machine = Machine::new(&stage.balancer.url());
    for arguments in [&["begin"][..], &["start", "--name", "a\"b"], &["start", "--name"], &["finish", "--wait", "-1"]] {
        run(&machine, arguments, 2, "").await;
    }
    // Nothing was started.
    run(&machine, &["finish"], 1, "").await;

    let started = run(&machine, &["start"], 0, "").await;
    let browser = Browser::new();
    let page = browser.visit(value(&started, "link")).await;
    browser.deny(&page).await;
    run(&machine, &["finish"], 3, "denied").await;

    let started = run(&machine, &["start"], 0, "").await;
    stage.revoke(value(&started, "code")).await;
    run(&machine, &["finish"], 4, "revoked").await;

    std::fs::remove_dir_all(machine.home.join(".postiz")).unwrap();
    machine.prevent_saving();
    let opened = stage.database.count("device_requests").await;
    run(&machine, &["start"], 5, "").await;
    assert_eq!(stage.database.count("device_requests").await, opened, "no person is asked in vain");
}
