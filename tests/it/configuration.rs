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
fn a_start_and_check_name_every_problem_at_once_and_show_no_secret() {
    let variables = [
        ("DATABASE_URL", "postgres://user:hunter2@/nothing?sslmode=sometimes"),
        ("POSTIZ_OAUTH_CLIENT_SECRET", "hunter2"),
        ("PORT", "http"),
        ("SERVER_URL", "example.com"),
    ];
    for arguments in [&[][..], &["check"]] {
        let output = run(arguments, &variables);
        assert_eq!(output.status.code(), Some(78));
        let text = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
        for name in ["DATABASE_URL", "POSTIZ_OAUTH_CLIENT_ID is missing", "PORT", "SERVER_URL"] {
            assert!(text.contains(name), "{name} is missing in: {text}");
        }
        assert!(!text.contains("hunter2") && !text.contains("panicked"), "{text}");
    }
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
        let path = std::env::temp_dir().join(format!("secret-{:016x}", rand::random::<u64>()));
        std::fs::write(&path, stage.variables().remove(name).unwrap() + "\n").unwrap();
        stage.variables().insert(named_by, path.display().to_string());
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
fn a_command_line_is_answered_in_the_right_stream_with_the_right_code() {
    for (line, code, said) in [
        ("srve", 2, "'serve'"),
        ("check --jsn", 2, "'--json'"),
        ("revoke 1A2B3C", 2, "neither a user code"),
        ("revoke --all-pending BCDF-BCDF", 2, "cannot be used with"),
        ("help", 0, "78 a variable can't be used"),
        ("check --help", 0, "Exit codes: 0 nothing failed"),
        ("--version", 0, env!("CARGO_PKG_VERSION")),
    ] {
        let output = run(&line.split(' ').collect::<Vec<_>>(), &[]);
        let (printed, other) = if code == 0 { (output.stdout, output.stderr) } else { (output.stderr, output.stdout) };
        let text = String::from_utf8(printed).unwrap();
        assert_eq!((output.status.code(), text.contains(said)), (Some(code), true), "{line}: {text}");
        assert!(other.is_empty(), "{line}");
        assert!(code != 0 || text.lines().all(|line| line.len() <= 80), "{line}: {text}");
    }
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
        let output = run(&[], &[&REQUIRED[..], &[("PORT", "0"), ("LOG_FORMAT", "text"), (variable, value)]].concat());
        let text = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{variable}: {text}");
        assert!(!text.contains('\u{1b}'), "no colours in a pipe: {text:?}");
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
