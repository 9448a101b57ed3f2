//! The published `postiz` from npm signs in. `scripts/test` installs it and names it in `POSTIZ_CLI`.

use crate::support::{Browser, Machine, Page, Running, Stage};

/// Runs `postiz` with these arguments, separated by spaces.
fn start(machine: &Machine, arguments: &str) -> Running {
    #[expect(clippy::disallowed_methods, reason = "the test's own setting")]
    let cli = std::env::var("POSTIZ_CLI").expect("the CLI's file in POSTIZ_CLI");
    let arguments: Vec<&str> = [cli.as_str()].into_iter().chain(arguments.split(' ')).collect();
    machine.start("node", &arguments)
}

/// Starts a login, and waits for the code in the box that the CLI draws.
async fn log_in(machine: &Machine, arguments: &str) -> (Running, String) {
    let is_code = |word: &&str| {
        word.len() == 9 && word.as_bytes()[4] == b'-' && word.bytes().filter(u8::is_ascii_uppercase).count() == 8
    };
    let mut running = start(machine, arguments);
    let words =
        |line: &str| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').find(is_code).map(str::to_owned);
    let code = running.printed(words).await;
    (running, code)
}

/// The CLI says that its token is good.
async fn assert_signed_in(machine: &Machine) {
    let status = start(machine, "auth:status").ended().await;
    status.assert(0, "");
    let printed = status.printed.to_lowercase();
    assert!(printed.contains("valid") && !printed.contains("invalid"), "{printed}");
}

async fn consent(stage: &Stage, browser: &Browser, code: &str) -> Page {
    let page = browser.visit(&stage.url(&format!("/device/verify?code={code}"))).await;
    browser.go_on(&page).await
}

/// The CLI on one machine, approved in a browser.
async fn sign_in(stage: &Stage, machine: &Machine, arguments: &str, code: i32, words: &str) {
    let (running, user_code) = log_in(machine, arguments).await;
    let browser = Browser::new();
    browser.approve(&consent(stage, &browser, &user_code).await).await;
    running.ended().await.assert(code, words);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs POSTIZ_CLI"]
async fn the_cli_signs_in_through_one_replica_with_the_browser_on_another() {
    let stage = Stage::with(2, &[]).await;
    stage.balancer.only(stage.replicas[1].port());
    // The variable names another server, at which nothing listens: the option counts, as pages show it.
    let machine = Machine::new("http://localhost:9");
    let command = format!("auth:login --auth-server {}", stage.replicas[0].url());
    sign_in(&stage, &machine, &command, 0, "Successfully authenticated!").await;
    let saved = std::fs::read_to_string(machine.credentials()).unwrap();
    assert!(saved.contains(&stage.postiz.live_token().unwrap()) && saved.contains("org_1"), "{saved}");
    assert_signed_in(&machine).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs POSTIZ_CLI"]
async fn the_cli_says_that_it_can_not_save_its_token() {
    let stage = Stage::new().await;
    let machine = Machine::new(&stage.balancer.url());
    machine.prevent_saving();
    let command = format!("Then run: postiz auth:login --auth-server {}\n", stage.balancer.url());
    sign_in(&stage, &machine, "auth:login", 1, &command).await;
}

/// Pages of that server show `postiz auth:login` without an address.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs POSTIZ_CLI"]
async fn the_cli_has_the_default_server_that_pages_leave_out() {
    let help = start(&Machine::new(""), "auth:login --help").ended().await;
    help.assert(0, "(default: https://cli-auth.postiz.com)");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs POSTIZ_CLI"]
async fn the_cli_prints_a_denial_and_a_revocation_as_a_sentence() {
    let stage = Stage::with(2, &[]).await;
    let machine = Machine::new(&stage.replicas[0].url());
    let (denied, code) = log_in(&machine, "auth:login").await;
    let browser = Browser::new();
    browser.deny_at_postiz(&consent(&stage, &browser, &code).await).await;
    denied.ended().await.assert(1, "denied");

    let (revoked, code) = log_in(&machine, "auth:login").await;
    assert_eq!(stage.revoke(&code).await.0, Some(0));
    revoked.ended().await.assert(1, "Authorization expired. Please try again.");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs POSTIZ_CLI"]
async fn the_cli_stays_signed_in_on_two_machines_of_one_person_without_an_app() {
    let stage = Stage::registering(2, &[]).await;
    let machines = [&stage.replicas[0], &stage.replicas[1]].map(|replica| Machine::new(&replica.url()));
    let browser = Browser::new();
    for machine in &machines {
        let (running, code) = log_in(machine, "auth:login").await;
        let page = consent(&stage, &browser, &code).await;
        assert!(page.says(&code.replace('-', "\u{2011}")), "the consent page shows the terminal's code: {}", page.text);
        browser.approve(&page).await;
        running.ended().await.assert(0, "");
    }
    for machine in &machines {
        assert_signed_in(machine).await;
    }
    assert_eq!(stage.postiz.clients().len(), 2);
}
