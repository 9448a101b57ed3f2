//! What the command line and a start tell an operator.

use std::net::{Ipv6Addr, TcpListener};
use std::process::{Command, Output};

use postiz_auth_server::config::Config;

use crate::support::{Database, Poll, Stage};

/// Runs the server's program without any other variables.
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postiz-auth-server"));
    command.args(arguments).env_clear().envs(variables.iter().copied()).output().unwrap()
}

const REQUIRED: [(&str, &str); 3] = [
    ("DATABASE_URL", "postgres://user:hunter2@localhost:1/auth"),
    ("POSTIZ_OAUTH_CLIENT_ID", "pca_tests"),
    ("POSTIZ_OAUTH_CLIENT_SECRET", "hunter2"),
];

#[test]
fn every_problem_is_reported_at_once_and_no_secret_is_shown() {
    let output = run(
        &[],
        &[
            ("DATABASE_URL", "postgres://user:hunter2@/nothing?sslmode=sometimes"),
            ("POSTIZ_OAUTH_CLIENT_SECRET", "hunter2"),
            ("PORT", "http"),
            ("SERVER_URL", "example.com"),
            ("LONG_POLL_SECONDS", "-1"),
            ("CLIENT_IP_SOURCE", "Anything"),
        ],
    );
    assert_eq!(output.status.code(), Some(78));
    let text = String::from_utf8(output.stderr).unwrap();
    for name in [
        "DATABASE_URL",
        "POSTIZ_OAUTH_CLIENT_ID is missing",
        "PORT",
        "SERVER_URL",
        "LONG_POLL_SECONDS",
        "CLIENT_IP_SOURCE",
    ] {
        assert!(text.contains(name), "{name} is missing in: {text}");
    }
    assert!(!text.contains("hunter2") && !text.contains("panicked"), "{text}");
}

/// A file with this content, which its owner removes.
fn secret_file(content: &str) -> String {
    let path = std::env::temp_dir().join(format!("secret-{:016x}", rand::random::<u64>()));
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_secrets_can_come_from_files() {
    let mut stage = Stage::empty(Database::new().await, &[]);
    let mut paths = Vec::new();
    for (name, named_by) in [
        ("DATABASE_URL", "DATABASE_URL_FILE"),
        ("POSTIZ_OAUTH_CLIENT_ID", "POSTIZ_OAUTH_CLIENT_ID_FILE"),
        ("POSTIZ_OAUTH_CLIENT_SECRET", "POSTIZ_OAUTH_CLIENT_SECRET_FILE"),
    ] {
        let path = secret_file(&format!("{}\n", stage.variables().remove(name).unwrap()));
        stage.variables().insert(named_by, path.clone());
        paths.push(path);
    }
    stage.start_replica().await;
    let (login, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
    for path in paths {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_file_that_can_not_be_used_is_named_and_its_content_is_not() {
    let path = secret_file("hunter2");
    let variables = [("POSTIZ_OAUTH_CLIENT_SECRET_FILE", path.as_str()), ("DATABASE_URL_FILE", "/nothing/here")];
    let output = run(&[], &[&REQUIRED[1..], &variables].concat());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{text}");
    for words in
        ["POSTIZ_OAUTH_CLIENT_SECRET is set twice", "DATABASE_URL can't be read from the file in DATABASE_URL_FILE"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_command_line_that_can_not_be_understood_ends_with_2_and_a_suggestion() {
    for (line, said) in [
        ("srve", "'serve'"),
        ("check --jsn", "'--json'"),
        ("revoke", "CODE|REFERENCE"),
        ("revoke 1A2B3C", "neither a user code"),
        ("revoke --all-pending BCDF-BCDF", "cannot be used with"),
    ] {
        let output = run(&line.split(' ').collect::<Vec<_>>(), &[]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.contains(said)), (Some(2), true), "{line}: {text}");
        assert!(output.stdout.is_empty(), "{line}");
    }
}

#[test]
fn help_and_version_are_printed() {
    for (line, said) in [
        ("--help", "revoke"),
        ("help", "78 a variable can't be used"),
        ("check --help", "Exit codes: 0 nothing failed"),
        ("help revoke", "--all-pending"),
        ("--version", env!("CARGO_PKG_VERSION")),
        ("version", env!("CARGO_PKG_VERSION")),
    ] {
        let output = run(&line.split(' ').collect::<Vec<_>>(), &[]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!((output.status.code(), text.contains(said)), (Some(0), true), "{line}: {text}");
        assert!(text.lines().all(|line| line.len() <= 80), "{line}: {text}");
    }
}

#[test]
fn text_logs_in_a_pipe_have_no_colour_codes() {
    let taken = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(&[], &[&REQUIRED[..], &[("LOG_FORMAT", "text"), ("PORT", &port)]].concat());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), text.contains("ERROR the server can't start")), (Some(1), true), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn a_start_that_fails_names_its_cause() {
    let taken = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let no_file = "postgres://x@localhost/x?sslmode=verify-full&sslrootcert=/nowhere/root.pem";
    for (variable, value, words) in [
        ("PORT", port.as_str(), ["can't listen on PORT: ", "in use"]),
        ("METRICS_ADDRESS", &port, ["METRICS_ADDRESS: ", "in use"]),
        ("DATABASE_URL", no_file, ["/nowhere/root.pem", "No such file"]),
    ] {
        let output = run(&[], &[&REQUIRED[..], &[("PORT", "0"), (variable, value)]].concat());
        let text = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{variable}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_says_what_an_operator_wants_to_know() {
    let stage = Stage::new().await;
    let log = stage.replicas[0].log();
    let callback = format!("{}/device/callback", stage.balancer.url());
    for words in [callback.as_str(), "127.0.0.1", "listening"] {
        assert!(log.contains(words), "{words} is missing in: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_healthcheck_tells_a_server_from_none() {
    let stage = Stage::new().await;
    let check = |port: u16| run(&["healthcheck"], &[("PORT", &port.to_string())]).status.code();
    assert_eq!(check(stage.replicas[0].port()), Some(0));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(check(free), Some(1));
}

#[test]
fn the_reference_lists_every_variable() {
    let reference = include_str!("../../docs/reference.md");
    for variable in Config::VARIABLES {
        assert!(reference.contains(&format!("| `{}` |", variable.name)), "{}", variable.name);
    }
}
