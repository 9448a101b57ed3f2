//! The interface for programs: dialects, errors, metadata.

use std::collections::HashSet;
use std::time::Instant;

use serde_json::Value;

use crate::support::{Browser, FORM, HTML, JSON, Poll, Stage, assert_error, get, send};

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_opened_by_json_by_a_form_and_by_no_body_at_all() {
    let stage = Stage::new().await;
    for (path, content_type, body, interval) in [
        ("/device/code", JSON, "", 1),
        ("/device/code", JSON, r#"{"client_id":"x"}"#, 1),
        ("/device/code", "text/plain", "", 1),
        ("/device/code", FORM, "client_id=x&scope=a+b", 5),
        ("//device/code", JSON, "", 1),
    ] {
        let answer = stage.cli().send(path, content_type, body.to_owned()).await;
        assert_eq!(answer.status(), 200, "{path} {content_type} {body}");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let answer: Value = answer.json().await.unwrap();
        let text = |name: &str| answer[name].as_str().unwrap();
        assert_eq!((answer["expires_in"].as_u64(), answer["interval"].as_u64()), (Some(900), Some(interval)));
        let uri = stage.url("/device/verify");
        assert_eq!(text("verification_uri"), uri);
        assert_eq!(text("verification_uri_complete"), format!("{uri}?user_code={}", text("user_code")));
    }
}

/// RFC 6749 §5.1: the client may have asked for another scope.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_with_the_scope_that_postiz_granted_and_the_public_address_of_the_api() {
    let stage = Stage::with(1, &[("POSTIZ_PUBLIC_API_URL", "https://postiz.example.com/api")]).await;
    let login = stage.cli().open_with("client_id=x&scope=posts%3Aread").await;
    let browser = Browser::new();
    browser.approve(&browser.confirm(&login).await).await;
    let answer: Value = login.poll_with("&client_id=x").await.json().await.unwrap();
    for (name, value) in [("token_type", "bearer"), ("scope", "all"), ("api_url", "https://postiz.example.com/api")] {
        assert_eq!(answer[name], value, "{name} in {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_down_holds_across_replicas_and_keeping_to_the_interval_recovers() {
    let stage = Stage::with(2, &[]).await;
    let login = stage.cli().open_by_form().await;
    login.assert_pending().await;
    for (replica, since_the_last, error, why) in [
        // As if it came in the same moment, however slow this machine is.
        (1, "-5", "authorization_pending", "Go's oauth2 sends a poll twice, with the client in two places"),
        (1, "1.5", "slow_down", "the other replica knows of it"),
        (0, "4.2", "authorization_pending", "a clock that runs a little fast is forgiven"),
    ] {
        stage.balancer.only(stage.replicas[replica].port());
        let last = format!("UPDATE device_requests SET polled_at = now() - interval '{since_the_last} seconds'");
        stage.database.run(&last).await;
        assert_eq!(login.poll_form().await, Poll::error(error), "{why}");
    }
    stage.database.run("UPDATE device_requests SET polled_at = now() - interval '1.5 seconds'").await;
    stage.database.run("UPDATE device_requests SET status = 'denied', settled_at = now()").await;
    assert_eq!(login.poll_form().await, Poll::error("access_denied"), "a decided login is not throttled");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interval_of_the_opening_paces_a_form_and_the_cli_never_gets_slow_down() {
    let stage = Stage::with(1, &[("LONG_POLL_SECONDS", "0")]).await;
    let login = stage.cli().open().await;
    assert_eq!(login.answer["interval"], 5);
    for _ in 0..5 {
        assert_eq!(login.poll().await, Poll::error("authorization_pending"));
    }
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    assert_eq!(login.answer["interval"], 1, "its polls are held");
    for _ in 0..3 {
        login.assert_pending().await;
        stage.database.run("UPDATE device_requests SET polled_at = polled_at - interval '1 second'").await;
    }
}

/// The CLI's interval is a second, and another program may send forms for its login as fast as it can.
#[tokio::test(flavor = "multi_thread")]
async fn polls_in_quick_succession_are_noted_once_a_second() {
    let stage = Stage::new().await;
    let (login, begin) = (stage.cli().open().await, Instant::now());
    let mut noted = HashSet::new();
    for _ in 0..40 {
        login.assert_pending().await;
        let rows = stage.database.rows("SELECT polled_at::text FROM device_requests").await;
        noted.insert(rows[0].get::<_, String>(0));
    }
    assert!(noted.len() as u64 <= begin.elapsed().as_secs() + 2, "{noted:?}");
}

/// A page would open logins in its visitor's name. Node's `fetch`, which the CLI uses, sends `Sec-Fetch-Mode` alone.
#[tokio::test(flavor = "multi_thread")]
async fn no_web_page_uses_the_addresses_for_programs() {
    let stage = Stage::new().await;
    let body = stage.cli().open().await.poll_body();
    for (path, body) in [("/device/code", ""), ("/device/token", &body)] {
        for header in [
            ("Origin", "https://evil.example"),
            ("Origin", "null"),
            ("Origin", &stage.balancer.url()),
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Site", "same-origin"),
        ] {
            let answer = send("POST", &stage.url(path), &[("Content-Type", JSON), header], body).await;
            assert!(!answer.headers().contains_key("access-control-allow-origin"), "{path} {header:?}");
            assert_error(answer, 400, "invalid_request", &format!("{path} {header:?}")).await;
        }
    }
    assert_eq!(stage.database.count("device_requests").await, 1);
    let node = send("POST", &stage.url("/device/code"), &[("Sec-Fetch-Mode", "cors")], "").await;
    assert_eq!(node.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_polled_only_by_the_client_that_opened_it() {
    let stage = Stage::with(2, &[]).await;
    for (opening, polling, error) in [
        ("client_id=one", "&client_id=one", "authorization_pending"),
        ("client_id=one", "&client_id=two", "invalid_grant"),
        ("client_id=one", "", "authorization_pending"),
        ("client_id=one", "&client_id=", "authorization_pending"),
        ("client_id=", "&client_id=two", "authorization_pending"),
        ("scope=x", "&client_id=two", "authorization_pending"),
    ] {
        let answer = stage.cli().open_with(opening).await.poll_with(polling).await;
        assert_error(answer, 400, error, &format!("{opening} {polling}")).await;
    }
    stage.balancer.only(stage.replicas[0].port());
    let login = stage.cli().open_with("client_id=one").await;
    login.poll_with("&client_id=two").await;
    let own = login.poll_with("&client_id=one").await;
    assert_error(own, 400, "authorization_pending", "after another client's poll, which does not count").await;
    let body = format!(r#"{{"device_code":{},"client_id":"two"}}"#, login.answer["device_code"]);
    let known = send("POST", &stage.url("/device/token"), &[("Content-Type", "application/json")], &body).await;
    assert_error(known, 400, "invalid_grant", "by JSON, at the replica that knows the grant").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_addresses_are_answered_in_the_callers_format_and_other_methods_as_to_programs() {
    let stage = Stage::new().await;
    for (method, path, accept, status, allow, body) in [
        ("GET", "/device/code", HTML, 405, "POST", r#"{"error":"method_not_allowed""#),
        ("DELETE", "/device/verify", HTML, 405, "GET, HEAD, POST", r#"{"error":"method_not_allowed""#),
        ("DELETE", "/health", HTML, 405, "GET, HEAD", r#"{"error":"method_not_allowed""#),
        ("GET", "/nothing", HTML, 404, "", "<!doctype html>"),
        ("GET", "/nothing", ("Accept", "*/*"), 404, "", r#"{"error":"not_found""#),
    ] {
        let answer = send(method, &stage.url(path), &[accept], "").await;
        let allowed = answer.headers().get("allow").map_or("", |value| value.to_str().unwrap());
        assert_eq!((answer.status().as_u16(), allowed), (status, allow), "{method} {path} {accept:?}");
        let text = answer.text().await.unwrap();
        assert!(text.starts_with(body), "{method} {path} {accept:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_describes_itself_to_programs_and_people() {
    let stage =
        Stage::with(1, &[("OPERATOR_NAME", "Example Ltd"), ("OPERATOR_URL", "https://operator.example/")]).await;
    let base = stage.balancer.url();
    let metadata: Value = get(stage.url("/.well-known/oauth-authorization-server")).await.json().await.unwrap();
    for (name, value) in [
        ("issuer", base.clone()),
        ("device_authorization_endpoint", stage.url("/device/code")),
        ("token_endpoint", stage.url("/device/token")),
        ("service_documentation", "https://operator.example/".to_owned()),
    ] {
        assert_eq!(metadata[name], value, "{name}");
    }
    let home = Browser::new().visit(&base).await;
    assert_eq!(home.command(), Some(format!("postiz auth:login --auth-server {base}")));
    assert!(home.text.contains(r#"href="https://operator.example/""#) && home.says("Example Ltd"), "{}", home.text);

    let plain = get(base.clone()).await;
    assert_eq!(plain.headers()["content-type"], "text/plain; charset=utf-8");
    let plain = plain.text().await.unwrap();
    for words in [&stage.url("/device/code"), &stage.postiz.api_url(), "\"accessToken\""] {
        assert!(plain.contains(words), "{words}: {plain}");
    }
    assert!(!plain.contains("_url}"), "a placeholder is left: {plain}");
    assert_eq!(get(stage.url("/llms.txt")).await.text().await.unwrap(), plain);
}

/// Schemathesis makes hundreds of requests from the description that the server serves, good and bad ones,
/// and holds each answer against it. It can't make a code that is known: that is what the other tests are for.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SCHEMATHESIS"]
async fn every_answer_conforms_to_the_served_description() {
    #[allow(clippy::disallowed_methods, reason = "it is the tests' environment")]
    let schemathesis = std::env::var_os("SCHEMATHESIS").expect("schemathesis' file in SCHEMATHESIS");
    let stage =
        Stage::with(1, &[("RATE_LIMIT_CODES", "0"), ("RATE_LIMIT_GUESSES", "100"), ("LONG_POLL_SECONDS", "1")]).await;
    let base = stage.balancer.url();
    let output = tokio::process::Command::new(schemathesis)
        .args(["run", &format!("{base}/openapi.yaml"), "--url", &base])
        .args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "50", "--seed", "8628", "--no-color"])
        .current_dir(std::env::temp_dir())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Tested: 24"), "{said}");
}

/// Each address that answers to GET, with the same headers to HEAD, at the root and below the path of `SERVER_URL`.
#[tokio::test(flavor = "multi_thread")]
async fn every_address_answers_get_and_head_with_and_without_the_path_of_the_server() {
    let stage = Stage::with(1, &[("SERVER_URL", "https://example.com/cli-auth/")]).await;
    let page = Browser::new().visit(&stage.url("/cli-auth/device/verify")).await;
    assert!(page.text.contains(r#"action="/cli-auth/device/verify""#), "{}", page.text);
    assert!(page.headers.contains_key("strict-transport-security"));
    let asset = page.text.split('"').find_map(|text| text.strip_prefix("/cli-auth/assets/style.")).unwrap();
    for prefix in ["", "/cli-auth", "//cli-auth"] {
        for (path, status) in [
            ("/", 200),
            ("/device", 303),
            ("/device/verify", 200),
            ("/device/verify/", 200),
            ("/device/continue", 200),
            ("/device/done/denied", 200),
            ("/.well-known/oauth-authorization-server", 200),
            ("/openapi.yaml", 200),
            ("/llms.txt", 200),
            ("/health", 200),
            ("/health/live", 200),
            (&format!("/assets/style.{asset}"), 200),
        ] {
            let url = stage.url(&format!("{prefix}{path}"));
            let (get, head) = (send("GET", &url, &[], "").await, send("HEAD", &url, &[], "").await);
            assert_eq!((get.status().as_u16(), head.status().as_u16()), (status, status), "{url}");
            assert_eq!(get.headers().get("content-type"), head.headers().get("content-type"), "{url}");
        }
        let answer = stage.cli().send(&format!("{prefix}/device/code"), JSON, String::new()).await;
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["verification_uri"], "https://example.com/cli-auth/device/verify");
    }
    let metadata = get(stage.url("/.well-known/oauth-authorization-server/cli-auth")).await;
    assert_eq!(metadata.json::<Value>().await.unwrap()["issuer"], "https://example.com/cli-auth");
    let short = send("GET", &stage.url("/device?user_code=BCDF-GHJK"), &[], "").await;
    assert_eq!(short.headers()["location"], "/cli-auth/device/verify?user_code=BCDF-GHJK");
}
