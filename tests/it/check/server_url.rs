//! `SERVER_URL` and the proxies in front of it.

use super::{answering, behind, check};
use crate::support::{Proxy, Stage, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_url_that_does_not_lead_here_fails_with_its_cause() {
    let mut stage = Stage::new().await;
    let redirect = answering("301 Moved\r\nLocation: https://auth.example.com/x?y", "").await;
    // Another installation that still has the name, with the same app.
    let other = Stage::new().await;
    for (url, words) in [
        ("http://auth.invalid".to_owned(), ["can't be reached", "DNS"]),
        (format!("http://localhost:{}", free_port()), ["can't be reached", "refused"]),
        (redirect, ["location: https://auth.example.com/x)", "POST into a GET"]),
        (answering("200 OK", "hi").await, ["does not lead to this server", "status 200"]),
        (answering("502 Bad Gateway", "").await, ["status 502", "the server's port"]),
        (other.balancer.url(), ["another database", &other.balancer.url()]),
    ] {
        check(&mut stage, &[("SERVER_URL", &url)]).await.blames("server_url.reach", &words);
    }
    check(&mut stage, &[("SERVER_URL", "http://auth.invalid")]).await.blames("server_url.https", &["without https"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_known_is_skipped() {
    let mut stage = Stage::new().await;
    let limited = answering("429 Too Many Requests", "").await;
    check(&mut stage, &[("SERVER_URL", &limited)]).await.says("server_url.reach", "skipped", &["wait a minute"]);
    // Without its database, it does not judge the server that answers.
    let report = check(&mut stage, &[("DATABASE_URL", "postgres://user:hunter2@localhost:1/auth")]).await;
    report.says("server_url.reach", "skipped", &["PostgreSQL"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_spoils_requests_or_answers_is_named_with_the_fix() {
    const BOTH: &[&str] = &["x-forwarded-for", "x-real-ip"];
    const CLIENT: &[&str] = &["X-Forwarded-For: 203.0.113.9"];
    const CHAIN: &[&str] = &["X-Forwarded-For: 203.0.113.9, 10.9.0.7"];
    let (address, answers) = ("server_url.client_address", "server_url.answers");
    let sandbox = &["Content-Security-Policy: sandbox"];
    for (proxy, source, check_name, verdict, words) in [
        (Proxy::start(BOTH, &[]), "Auto", address, "warn", ["passes no client's address on", "X-Forwarded-For"]),
        (Proxy::start(&[], CHAIN), "Auto", address, "warn", ["10.9.0.7", "TRUSTED_PROXIES"]),
        (Proxy::start(&[], CLIENT), "Connection", address, "warn", ["CLIENT_IP_SOURCE=Auto", "the proxy"]),
        (Proxy::start(&[], &[]), "Auto", address, "fail", ["choose its own address", "X-Forwarded-For"]),
        (Proxy::changing(CLIENT, &[], sandbox), "Auto", answers, "fail", ["sandbox", "block forms"]),
        (Proxy::changing(CLIENT, &["set-cookie"], &[]), "Auto", answers, "fail", ["__Host-postiz-browser", "cookie"]),
    ] {
        let mut stage = behind(&proxy, &[("CLIENT_IP_SOURCE", source)]).await;
        check(&mut stage, &[]).await.says(check_name, verdict, &words);
    }
}
