//! What proxies, browsers and people's clients do to our requests and answers.

use postiz_auth_server::grant::BrowserKey;
use reqwest::Response;

use crate::support::{Browser, FORM, HTML, Stage, send};

const HTTPS: (&str, &str) = ("SERVER_URL", "https://auth.example.com");

/// *Continue*, as a browser with this `Origin` sends it, with a cookie or without one.
async fn go_on(stage: &Stage, origin: &str, code: &str, cookie: Option<String>) -> Response {
    let cookie = cookie.unwrap_or_default();
    let headers = [HTML, ("Content-Type", FORM), ("Origin", origin), ("Cookie", cookie.as_str())];
    send("POST", &stage.url("/device/verify"), &headers, &format!("user_code={code}&action=continue")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_forms_are_logged_once_and_their_page_leads_to_the_servers_own_name() {
    let stage = Stage::with(1, &[HTTPS]).await;
    for _ in 0..5 {
        let answer = go_on(&stage, "http://127.0.0.1:3111", "BCDF-GHJK", None).await;
        assert_eq!(answer.status(), 403);
        let page = answer.text().await.unwrap();
        assert!(page.contains(r#"href="https://auth.example.com/device/verify""#), "{page}");
    }
    let line = stage.replicas[0].logged("http://127.0.0.1:3111").await;
    assert_eq!(line["level"], "WARN", "{line}");
    assert!(line.to_string().contains("https://auth.example.com"), "{line}");
    let log = stage.log();
    let lines = log.lines().filter(|line| line.contains("127.0.0.1:3111") && line.contains("WARN"));
    assert_eq!(lines.count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_keeps_no_cookie_is_told_so_and_a_foreign_cookie_spoils_nothing() {
    let stage = Stage::with(1, &[HTTPS]).await;
    let login = stage.cli().open().await;
    let key = BrowserKey::random().to_cookie();
    for (cookie, status) in [
        (None, 403),
        (Some(format!("__host-postiz-browser={key}")), 403),
        (Some(format!("\u{2000}__Host-postiz-browser={key}")), 403),
        (Some(format!("prefs=münchen; a; =; __Host-postiz-browser={key}")), 303),
    ] {
        let answer = go_on(&stage, HTTPS.1, &login.user_code, cookie.clone()).await;
        assert_eq!(answer.status(), status, "{cookie:?}");
        let is_told = answer.text().await.unwrap().contains("send our cookie back");
        assert_eq!(is_told, status == 403, "{cookie:?}");
    }
}

/// With https, and a proxy that passes no address on.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_clients_address_nobody_is_near() {
    let stage = Stage::with(1, &[HTTPS]).await;
    let login = stage.cli().open().await;
    assert_eq!(stage.database.count("device_requests WHERE requester IS NULL").await, 1);
    let page = Browser::new().visit(&stage.url(&format!("/device/verify?code={}", login.user_code))).await;
    assert!(page.text.contains(r#"class="code-field""#), "the code is typed: {}", page.text);
    assert!(!page.text.contains("127.0.0.1") && !page.says(&login.user_code), "{}", page.text);
}

/// A name that the terminal's client chose is shown as such, and at Postiz; anything else is shown as no name.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_a_name_of_its_own_if_it_is_harmless() {
    let stage = Stage::registering(1, &[]).await;
    for (client_id, field, shown) in [
        ("nightly-report", "client_id=nightly-report", true),
        ("<b>Postiz</b>", "client_id=%3Cb%3EPostiz%3C%2Fb%3E", false),
    ] {
        let login = stage.cli().open_with(field).await;
        let browser = Browser::new();
        let page = browser.view(&login).await;
        assert_eq!(page.says("The program calls itself") && page.says(client_id), shown, "{}", page.text);
        let consent = browser.go_on(&page).await;
        assert_eq!(consent.says(client_id), shown, "{}", consent.text);
    }
}
