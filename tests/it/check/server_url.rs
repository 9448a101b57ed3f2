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
        ("http://auth.invalid", ["can't be reached", "DNS"]),
        (closed.as_str(), ["can't be reached", "refused"]),
        (&redirect, ["location: https://auth.example.com/x)", "POST into a GET"]),
        (&page, ["does not lead to this server", "status 200"]),
        (&gateway, ["status 502", "the server's port"]),
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
        let (verdict, text) = &report.of("configuration")[0];
        assert_eq!((*verdict, text.contains(word)), ("warn", true), "{}", report.text);
    }
    assert_eq!(check(&mut stage, &[]).await.of("configuration")[0].0, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_on_this_machine_check_says_so() {
    let mut stage = Stage::empty(Database::new().await, &[]);
    let port = free_port().to_string();
    let url = format!("http://localhost:{port}");
    stage.postiz.set_redirect_uri(&format!("{url}/device/callback"));
    let report = check(&mut stage, &[("PORT", &port), ("SERVER_URL", &url)]).await;
    assert_eq!((report.code, report.complaints()), (Some(0), vec!["server_url.reach"]), "{}", report.text);
    assert!(report.text.contains("no server runs on port"), "{}", report.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_hides_its_clients_is_named_with_the_setting_that_fixes_it() {
    const BOTH: &[&str] = &["x-forwarded-for", "x-real-ip"];
    for (proxy, source, expected, words) in [
        (Proxy::start(BOTH, &[]), "Auto", "warn", ["passes no client's address on", "X-Forwarded-For"]),
        (
            Proxy::start(&[], &["X-Forwarded-For: 203.0.113.9"]),
            "Connection",
            "warn",
            ["the address of the proxy", "CLIENT_IP_SOURCE=Auto"],
        ),
        (
            Proxy::start(BOTH, &["X-Real-IP: 203.0.113.9"]),
            "Auto",
            "warn",
            ["passes no client's address on", "CLIENT_IP_SOURCE"],
        ),
        (Proxy::start(&[], &[]), "Auto", "fail", ["choose its own address", "X-Forwarded-For"]),
        (Proxy::start(&[], &[]), "XRealIp", "fail", ["choose its own address", "X-Real-IP"]),
    ] {
        let mut stage = behind(&proxy, &[("CLIENT_IP_SOURCE", source)]).await;
        let report = check(&mut stage, &[]).await;
        let [(verdict, text)] = report.of("server_url.client_address").try_into().unwrap();
        assert!(verdict == expected && words.iter().all(|word| text.contains(word)), "{source}: {text}");
    }
}

/// The first proxy appends its client, the second one the first proxy.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_proxy_that_is_not_trusted_is_warned_of() {
    const CHAIN: &[&str] = &["X-Forwarded-For: 203.0.113.9, 10.9.0.7"];
    for (source, trusted, expected) in
        [("Auto", "", "warn"), ("RightmostXForwardedFor", "", "warn"), ("Auto", "10.9.0.0/16", "ok")]
    {
        let proxy = Proxy::start(&[], CHAIN);
        let mut stage = behind(&proxy, &[("CLIENT_IP_SOURCE", source), ("TRUSTED_PROXIES", trusted)]).await;
        let report = check(&mut stage, &[]).await;
        let [(verdict, text)] = report.of("server_url.client_address").try_into().unwrap();
        assert!(verdict == expected && (expected == "ok" || text.contains("10.9.0.7")), "{text}");
        assert_eq!(report.code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_changes_answers_is_named() {
    const CLIENT: &[&str] = &["X-Forwarded-For: 203.0.113.9"];
    for (out, lines, verdict, words) in [
        (&["referrer-policy"][..], &["Referrer-Policy: no-referrer"][..], "warn", "Referrer-Policy"),
        (&[], &["Content-Security-Policy: sandbox"], "fail", "sandbox"),
        (&["set-cookie"], &[], "fail", "__Host-postiz-browser"),
        (&[], &["Age: 12"], "fail", "caches"),
    ] {
        let proxy = Proxy::changing(CLIENT, out, lines);
        let mut stage = behind(&proxy, &[]).await;
        let report = check(&mut stage, &[]).await;
        let [found] = &report.of("server_url.answers")[..] else { panic!("{}", report.text) };
        assert!(found.0 == verdict && found.1.contains(words), "{}", report.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_known_is_skipped() {
    // Nothing runs here, and a proxy says so.
    let mut stage = Stage::empty(Database::new().await, &[]);
    let gateway = answering("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    let limited = answering("HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    for (url, word) in [(&gateway, "no server runs on port"), (&limited, "wait a minute")] {
        let report = check(&mut stage, &[("SERVER_URL", url), ("PORT", &free_port().to_string())]).await;
        let [(verdict, text)] = report.of("server_url.reach").try_into().unwrap();
        assert!(verdict == "skipped" && text.contains(word), "{text}");
    }
}
