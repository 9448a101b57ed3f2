//! `SERVER_URL` and the proxies in front of it.

use super::{answering, behind, check, free_port};
use crate::support::{Database, Proxy, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_url_that_does_not_lead_here_fails_with_its_cause() {
    let mut stage = Stage::new().await;
    let redirect = "HTTP/1.1 301 Moved\r\nLocation: https://auth.example.com/x?y\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (redirect, page) =
        (answering(redirect).await, answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await);
    let gateway = answering("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    let closed = format!("http://localhost:{}", free_port());
    for (url, words) in [
        ("http://auth.invalid", ["No answer from", "DNS"]),
        (closed.as_str(), ["No answer from", "refused"]),
        (&redirect, ["redirects to https://auth.example.com/x.", "POST into a GET"]),
        (&page, ["something else", "status 200"]),
        (&gateway, ["A proxy answers", "its port"]),
    ] {
        check(&mut stage, &[("SERVER_URL", url)]).await.blames("server_url.reach", &words);
    }
    check(&mut stage, &[("SERVER_URL", "http://auth.invalid")]).await.blames("server_url.https", &["without https"]);

    // Another installation that still has the name, with the same app.
    let other = Stage::new().await;
    let theirs = other.balancer.url();
    check(&mut stage, &[("SERVER_URL", &theirs)]).await.blames("server_url.reach", &["another database", &theirs]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_check_does_not_judge_the_server_that_answers() {
    let mut stage = Stage::new().await;
    let report = check(&mut stage, &[("DATABASE_URL", "postgres://user:hunter2@localhost:1/auth")]).await;
    assert!(matches!(report.of("server_url.reach")[..], [("skipped", _)]), "{}", report.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_mislead_postizs_sign_in_page_are_warned_of() {
    let mut stage = Stage::new().await;
    for (url, word) in [("https://auth.google.invalid", "google"), ("https://auth.invalid/settings", "settings")] {
        let report = check(&mut stage, &[("SERVER_URL", url)]).await;
        let (verdict, text) = &report.of("server_url.words")[0];
        assert_eq!((*verdict, text.contains(word)), ("warn", true), "{}", report.text);
    }
    assert!(check(&mut stage, &[]).await.of("server_url.words").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_on_this_machine_check_says_so() {
    let mut stage = Stage::empty(Database::new().await, &[]);
    let port = free_port().to_string();
    let url = format!("http://localhost:{port}");
    stage.postiz.set_redirect_uri(&format!("{url}/device/callback"));
    let report = check(&mut stage, &[("PORT", &port), ("SERVER_URL", &url)]).await;
    assert_eq!((report.code, report.complaints()), (Some(0), vec!["server_url.reach"]), "{}", report.text);
    assert!(report.text.contains("No server runs on port"), "{}", report.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_hides_its_clients_is_named_with_the_setting_that_fixes_it() {
    const BOTH: &[&str] = &["x-forwarded-for", "x-real-ip"];
    for (proxy, source, words) in [
        (Proxy::start(BOTH, &[]), "Auto", ["Every client seems to have the address 127.0.0.1", "X-Forwarded-For"]),
        (
            Proxy::start(&[], &["X-Forwarded-For: 203.0.113.9"]),
            "Connection",
            ["the address 127.0.0.1", "CLIENT_IP_SOURCE=Auto"],
        ),
        (
            Proxy::start(BOTH, &["X-Real-IP: 203.0.113.9"]),
            "Auto",
            ["the address 127.0.0.1", "CLIENT_IP_SOURCE=XRealIp"],
        ),
        (
            Proxy::start(BOTH, &["CF-Connecting-IP: 203.0.113.9", "X-Forwarded-For: 203.0.113.9"]),
            "Connection",
            ["the address 127.0.0.1", "CLIENT_IP_SOURCE=CfConnectingIp"],
        ),
        (Proxy::start(&[], &[]), "Auto", ["choose its own address", "X-Forwarded-For"]),
        (Proxy::start(&[], &[]), "XRealIp", ["choose its own address", "X-Real-IP"]),
    ] {
        let mut stage = behind(&proxy, &[("CLIENT_IP_SOURCE", source)]).await;
        check(&mut stage, &[]).await.blames("server_url.client_address", &words);
    }
}

/// The first proxy appends its client, the second one the first proxy.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_proxy_that_is_not_trusted_is_named() {
    const CHAIN: &[&str] = &["X-Forwarded-For: 203.0.113.9, 10.9.0.7"];
    for (source, trusted, fix) in [
        ("Auto", "", "Set TRUSTED_PROXIES=10.9.0.7"),
        ("RightmostXForwardedFor", "", "Set CLIENT_IP_SOURCE=Auto and TRUSTED_PROXIES=10.9.0.7"),
        ("Auto", "10.9.0.0/16", ""),
    ] {
        let proxy = Proxy::start(&[], CHAIN);
        let mut stage = behind(&proxy, &[("CLIENT_IP_SOURCE", source), ("TRUSTED_PROXIES", trusted)]).await;
        let report = check(&mut stage, &[]).await;
        let [(verdict, text)] = report.of("server_url.client_address").try_into().unwrap();
        let expected = if fix.is_empty() { "ok" } else { "warn" };
        assert!(verdict == expected && text.contains(fix), "{text}");
        assert_eq!(report.code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_self_check_answers_only_check() {
    let stage = Stage::new().await;
    let answer = crate::support::get(format!("{}/health/mirror", stage.balancer.url())).await;
    assert_eq!(answer.status(), 404);
}
