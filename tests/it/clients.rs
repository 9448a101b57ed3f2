//! The interface for programs: dialects, errors, health, metadata.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Browser, Poll, Stage, in_time};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_gets_the_public_address_of_the_api() {
    let public = "https://postiz.example.com/api";
    let stage = Stage::with(1, &[("POSTIZ_PUBLIC_API_URL", public)]).await;
    let (login, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    login.decided().await;
    let body = json!({ "device_code": login.device_code }).to_string();
    let answer: Value = stage.cli().send("/device/token", JSON, body).await.json().await.unwrap();
    assert_eq!(answer["api_url"], public);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_opened_by_json_by_a_form_and_by_no_body_at_all() {
    let stage = Stage::new().await;
    let cli = stage.cli();
    for (content_type, body, interval) in
        [(JSON, "", 1), (JSON, r#"{"client_id":"x"}"#, 1), ("text/plain", "", 1), (FORM, "client_id=x&scope=a+b", 5)]
    {
        let answer = cli.send("/device/code", content_type, body.to_owned()).await;
        assert_eq!(answer.status(), 200, "{content_type} {body}");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let answer: Value = answer.json().await.unwrap();
        let text = |name: &str| answer[name].as_str().unwrap();
        assert_eq!((answer["expires_in"].as_u64(), answer["interval"].as_u64()), (Some(900), Some(interval)));
        assert!(text("device_code").len() == 64 && text("device_code").bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(text("user_code").len() == 9 && text("user_code").as_bytes()[4] == b'-');
        let uri = format!("{}/device/verify", stage.balancer.url());
        assert_eq!(text("verification_uri"), uri);
        assert_eq!(text("verification_uri_complete"), format!("{uri}?user_code={}", text("user_code")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubled_slash_is_one() {
    let stage = Stage::new().await;
    let answer = stage.cli().send("//device/code", JSON, String::new()).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_has_its_name() {
    let stage = Stage::new().await;
    let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
    let unknown = "0".repeat(64);
    let deep = format!("{{\"device_code\":{}", "[".repeat(3000));
    let form_unknown = format!("grant_type={grant}&device_code={unknown}");
    let form_twice = format!("grant_type={grant}&device_code={unknown}&device_code={unknown}");
    let form_no_code = format!("grant_type={grant}");
    let form_other = format!("grant_type=password&device_code={unknown}");
    let form_none = format!("device_code={unknown}");
    let json_unknown = json!({ "device_code": unknown }).to_string();
    let large = json!({ "device_code": "x".repeat(200_000) }).to_string();
    let cases: &[(&str, &str, u16, &str)] = &[
        (JSON, "", 400, "invalid_request"),
        (JSON, "{}", 400, "invalid_request"),
        (JSON, "{", 400, "invalid_request"),
        (JSON, "[]", 400, "invalid_request"),
        (JSON, r#"{"device_code":7}"#, 400, "invalid_request"),
        (JSON, r#"{"device_code":"a","device_code":"b"}"#, 400, "invalid_request"),
        (JSON, &deep, 400, "invalid_request"),
        (JSON, &large, 413, "invalid_request"),
        (JSON, "{\"device_code\":\"\\u0000\"}", 400, "invalid_grant"),
        (JSON, r#"{"device_code":"short"}"#, 400, "invalid_grant"),
        (JSON, &json_unknown, 400, "invalid_grant"),
        (JSON, r#"{"grant_type":"password","device_code":"x"}"#, 400, "unsupported_grant_type"),
        (FORM, &form_unknown, 400, "invalid_grant"),
        (FORM, &form_twice, 400, "invalid_request"),
        (FORM, &form_no_code, 400, "invalid_request"),
        (FORM, &form_none, 400, "invalid_request"),
        (FORM, &form_other, 400, "unsupported_grant_type"),
        ("application/xml", "<a/>", 415, "invalid_request"),
    ];
    for (content_type, body, status, error) in cases {
        let answer = stage.cli().send("/device/token", content_type, (*body).to_owned()).await;
        let shown: String = body.chars().take(80).collect();
        assert_eq!(answer.status(), *status, "{content_type} {shown}");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["error"], *error, "{content_type} {shown}");
        assert!(!answer["error_description"].as_str().unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_down_holds_across_replicas_and_keeping_to_the_interval_recovers() {
    let stage = Stage::with(2, &[]).await;
    let opened = open_by_form(&stage, "client_id=x").await;
    assert_eq!(opened["interval"], 5);
    let poll_at = async |replica: usize| {
        stage.balancer.only(stage.replicas[replica].port());
        poll_by_form(&stage, &opened, "").await["error"].as_str().unwrap().to_owned()
    };
    let later = async |seconds: &str| {
        stage
            .database
            .run(&format!("UPDATE device_requests SET polled_at = polled_at - interval '{seconds} seconds'"))
            .await;
    };
    assert_eq!(poll_at(0).await, "authorization_pending", "the first poll is never too early");
    assert_eq!(
        poll_at(1).await,
        "authorization_pending",
        "Go's oauth2 sends a poll twice, with the client in two places"
    );
    later("1.5").await;
    assert_eq!(poll_at(1).await, "slow_down", "the other replica knows of it");
    later("2.7").await;
    assert_eq!(poll_at(0).await, "authorization_pending", "a clock that runs a little fast is forgiven");
    later("4.2").await;
    assert_eq!(poll_at(1).await, "authorization_pending", "steady polls go through");
    later("1.5").await;
    stage.database.run("UPDATE device_requests SET status = 'denied', settled_at = now()").await;
    assert_eq!(poll_at(0).await, "access_denied", "a decided login is not throttled");
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_are_paced_by_the_interval_of_their_opening_whatever_their_form() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    assert_eq!(login.answer["interval"], 1, "its polls are held");
    for _ in 0..3 {
        assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
        stage.database.run("UPDATE device_requests SET polled_at = polled_at - interval '1 second'").await;
    }
}

/// A page would open logins in its visitor's name. Node's `fetch`, which the CLI uses, sends `Sec-Fetch-Mode` alone.
#[tokio::test(flavor = "multi_thread")]
async fn no_web_page_uses_the_addresses_for_programs() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    let http = crate::support::http().build().unwrap();
    let poll = json!({ "device_code": login.device_code }).to_string();
    for (path, body) in [("/device/code", ""), ("/device/token", &poll)] {
        let post = |name: &'static str, value: &str| {
            let request = http.post(format!("{}{path}", stage.balancer.url())).header("Content-Type", JSON);
            request.body(body.to_owned()).header(name, value).send()
        };
        for (name, value) in [
            ("Origin", "https://evil.example"),
            ("Origin", "null"),
            ("Origin", &stage.balancer.url()),
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Site", "same-origin"),
        ] {
            let answer = post(name, value).await.unwrap();
            assert_eq!(answer.status(), 400, "{path} {name}: {value}");
            assert_eq!(answer.json::<Value>().await.unwrap()["error"], "invalid_request", "{path} {name}: {value}");
        }
    }
    assert_eq!(stage.database.count("device_requests").await, 1);
    let node = http.post(format!("{}/device/code", stage.balancer.url())).header("Sec-Fetch-Mode", "cors");
    assert_eq!(node.send().await.unwrap().status(), 200);
}

async fn open_by_form(stage: &Stage, body: &str) -> Value {
    let answer = stage.cli().send("/device/code", FORM, body.to_owned()).await;
    assert_eq!(answer.status(), 200, "{body}");
    answer.json().await.unwrap()
}

async fn poll_by_form(stage: &Stage, opened: &Value, more: &str) -> Value {
    let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
    let body = format!("grant_type={grant}&device_code={}{more}", opened["device_code"].as_str().unwrap());
    stage.cli().send("/device/token", FORM, body).await.json().await.unwrap()
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
        let opened = open_by_form(&stage, opening).await;
        assert_eq!(poll_by_form(&stage, &opened, polling).await["error"], error, "{opening} {polling}");
    }
    let opened = open_by_form(&stage, "client_id=one").await;
    poll_by_form(&stage, &opened, "&client_id=two").await;
    let own = poll_by_form(&stage, &opened, "&client_id=one").await;
    assert_eq!(own["error"], "authorization_pending", "another client's poll does not count as a poll");
    for client_id in ["x".repeat(256), "%00".to_owned(), "%C3%A4".to_owned()] {
        let answer = stage.cli().send("/device/code", FORM, format!("client_id={client_id}")).await;
        assert_eq!(answer.status(), 400, "{client_id}");
    }
}

/// RFC 6749 §5.1: the client may have asked for another scope.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_the_scope_that_postiz_granted() {
    let stage = Stage::new().await;
    let opened = open_by_form(&stage, "client_id=x&scope=posts%3Aread").await;
    let browser = Browser::new();
    let url = format!("{}/device/verify?code={}", stage.balancer.url(), opened["user_code"].as_str().unwrap());
    let consent = browser.press(&browser.visit(&url).await, ("action", "continue"), &[]).await;
    browser.approve(&consent).await;
    let answer = poll_by_form(&stage, &opened, "&client_id=x").await;
    assert_eq!((&answer["token_type"], &answer["scope"]), (&json!("bearer"), &json!("all")), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cli_never_gets_slow_down() {
    let stage = Stage::with(1, &[("LONG_POLL_SECONDS", "0")]).await;
    let login = stage.cli().open().await;
    assert_eq!(login.answer["interval"], 5);
    for _ in 0..5 {
        assert_eq!(login.poll().await, Poll::error("authorization_pending"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_addresses_and_methods_are_answered_in_the_callers_format() {
    let stage = Stage::new().await;
    let http = crate::support::http().build().unwrap();
    let url = |path: &str| format!("{}{path}", stage.balancer.url());
    for (path, allow) in [("/device/code", "POST"), ("/device/token", "POST")] {
        let answer = http.get(url(path)).header("Accept", "text/html").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &allow.parse().unwrap()));
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], "method_not_allowed");
    }
    for (path, allow) in [
        ("/device/verify", "GET, HEAD, POST"),
        ("/device/callback", "GET, HEAD"),
        ("/device/done/denied", "GET, HEAD"),
        ("/health", "GET, HEAD"),
    ] {
        let page = http.delete(url(path)).header("Accept", "text/html").send().await.unwrap();
        assert_eq!((page.status().as_u16(), &page.headers()["allow"]), (405, &allow.parse().unwrap()));
        assert!(page.text().await.unwrap().starts_with("<!doctype html>"));
    }
    let program = http.get(url("/nothing")).send().await.unwrap();
    assert_eq!(program.status(), 404);
    assert_eq!(program.json::<Value>().await.unwrap()["error"], "not_found");
    let person = http.get(url("/nothing")).header("Accept", "text/html").send().await.unwrap();
    assert_eq!(person.status(), 404);
    assert!(person.text().await.unwrap().starts_with("<!doctype html>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_describes_itself() {
    let stage = Stage::new().await;
    let base = stage.balancer.url();
    let metadata: Value =
        crate::support::get(format!("{base}/.well-known/oauth-authorization-server")).await.json().await.unwrap();
    assert_eq!(metadata["issuer"], base);
    assert_eq!(metadata["device_authorization_endpoint"], format!("{base}/device/code"));
    assert_eq!(metadata["token_endpoint"], format!("{base}/device/token"));
    let home = Browser::new().visit(&base).await;
    assert_eq!(home.command(), Some(format!("postiz auth:login --auth-server {base}")));
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
    let http = crate::support::http().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let page = Browser::new().visit(&format!("{}/cli-auth/device/verify", stage.balancer.url())).await;
    assert!(page.text.contains(r#"action="/cli-auth/device/verify""#), "{}", page.text);
    assert!(page.headers.contains_key("strict-transport-security"));
    let asset = page.text.split('"').find(|text| text.starts_with("/cli-auth/assets/style.")).unwrap();
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
            (asset.strip_prefix("/cli-auth").unwrap(), 200),
        ] {
            let url = format!("{}{prefix}{path}", stage.balancer.url());
            let [get, head] = [http.get(&url), http.head(&url)];
            let (get, head) = (get.send().await.unwrap(), head.send().await.unwrap());
            assert_eq!((get.status().as_u16(), head.status().as_u16()), (status, status), "{url}");
            assert_eq!(get.headers().get("content-type"), head.headers().get("content-type"), "{url}");
        }
        let answer = stage.cli().send(&format!("{prefix}/device/code"), JSON, String::new()).await;
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["verification_uri"], "https://example.com/cli-auth/device/verify");
    }
    let well_known = format!("{}/.well-known/oauth-authorization-server/cli-auth", stage.balancer.url());
    assert_eq!(
        http.get(well_known).send().await.unwrap().json::<Value>().await.unwrap()["issuer"],
        "https://example.com/cli-auth"
    );
    let short = http.get(format!("{}/device?user_code=BCDF-GHJK", stage.balancer.url())).send().await.unwrap();
    assert_eq!(short.headers()["location"], "/cli-auth/device/verify?user_code=BCDF-GHJK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_asks_for_the_start_page_reads_how_to_sign_in() {
    let stage = Stage::new().await;
    let base = stage.balancer.url();
    let plain = crate::support::get(base.clone()).await;
    assert_eq!(plain.headers()["content-type"], "text/plain; charset=utf-8");
    let plain = plain.text().await.unwrap();
    assert!(
        plain.contains(&format!("{base}/device/code")) && !plain.contains('{') || plain.contains("\"accessToken\""),
        "{plain}"
    );
    assert!(!plain.contains("{server_url}") && !plain.contains("{api_url}"), "{plain}");
    assert_eq!(crate::support::get(format!("{base}/llms.txt")).await.text().await.unwrap(), plain);
}

/// Some monitors and proxies close their half of the connection after the request.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_its_sending_half_is_answered() {
    let stage = Stage::with(1, &[("LONG_POLL_SECONDS", "1")]).await;
    let login = stage.cli().open().await;
    let body = json!({ "device_code": login.device_code }).to_string();
    let poll = format!(
        "POST /device/token HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let health = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n".to_owned();
    for request in std::iter::repeat_n(health, 20).chain([poll]) {
        let mut stream = TcpStream::connect(("127.0.0.1", stage.replicas[0].port())).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        in_time("the answer", stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.contains(r#"{"status":"ok"}"#) || answer.contains("authorization_pending"), "{answer:?}");
    }
}
