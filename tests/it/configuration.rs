//! What an operator hears of a set-up that can't work, and of one that can.

use std::process::Command;

use postiz_auth_server::config::Config;

use crate::support::Stage;

#[test]
fn every_problem_is_reported_at_once_and_no_secret_is_shown() {
    let output = Command::new(env!("CARGO_BIN_EXE_postiz-auth-server"))
        .env_clear()
        .env("DATABASE_URL", "postgres://user:hunter2@/nothing?sslmode=sometimes")
        .env("POSTIZ_OAUTH_CLIENT_SECRET", "   ")
        .env("PORT", "http")
        .env("SERVER_URL", "example.com")
        .env("LONG_POLL_SECONDS", "-1")
        .env("CLIENT_IP_SOURCE", "Whatever")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    let text = String::from_utf8(output.stderr).unwrap();
    for name in [
        "DATABASE_URL",
        "POSTIZ_OAUTH_CLIENT_ID",
        "POSTIZ_OAUTH_CLIENT_SECRET",
        "PORT",
        "SERVER_URL",
        "LONG_POLL_SECONDS",
        "CLIENT_IP_SOURCE",
    ] {
        assert!(text.contains(name), "{name} is missing in: {text}");
    }
    assert!(!text.contains("hunter2") && !text.contains("panicked"), "{text}");
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
    let check = |port: u16| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postiz-auth-server"));
        command.arg("healthcheck").env_clear().env("PORT", port.to_string()).output().unwrap().status.code()
    };
    assert_eq!(check(stage.replicas[0].port()), Some(0));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(check(free), Some(1));
}

#[test]
fn the_reference_lists_every_variable() {
    let reference = include_str!("../../docs/reference.md");
    for variable in Config::VARIABLES {
        assert!(reference.contains(&format!("| `{}` |", variable.name)), "{}", variable.name);
    }
}
