//! What proxies, browsers and people's clients do to our requests and answers.

use reqwest::Method;
use serde_json::Value;

use crate::support::{Browser, Cli, Poll, Stage, http};

const FORM: &str = "application/x-www-form-urlencoded";
const HTTPS: (&str, &str) = ("SERVER_URL", "https://auth.example.com");
const COOKIE: &str = "__Host-postiz-browser";

/// What a browser behind a proxy that ends TLS sends: the cookie by hand, for the tests speak plain http.
async fn form(stage: &Stage, headers: &[(&str, &str)], body: &str) -> reqwest::Response {
    let url = format!("{}/device/verify", stage.balancer.url());
    let request = http().redirect(reqwest::redirect::Policy::none()).build().unwrap().post(url);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.header("Accept", "text/html").header("Content-Type", FORM).body(body.to_owned()).send().await.unwrap()
}

/// The cookie that the page gives to a browser that has none.
async fn given(stage: &Stage) -> String {
    let page = http().build().unwrap().get(format!("{}/device/verify", stage.balancer.url())).send().await.unwrap();
    let cookie = page.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with(COOKIE) && cookie.contains("; Secure"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

/// A proxy that adds `Referrer-Policy: no-referrer` to our pages makes browsers send `Origin: null` with their forms.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_whose_origin_a_proxy_hides_is_ours_if_https_and_fetch_metadata_say_so() {
    let stage = Stage::with(1, &[HTTPS]).await;
    let login = stage.cli().open().await;
    let cookie = given(&stage).await;
    let body = format!("user_code={}&action=continue", login.user_code);
    for (origin, site, status) in [
        ("null", "same-origin", 303),
        ("https://auth.example.com", "same-origin", 303),
        ("null", "cross-site", 403),
        ("null", "same-site", 403),
        ("https://evil.example", "same-origin", 403),
    ] {
        let headers = [("Origin", origin), ("Sec-Fetch-Site", site), ("Cookie", cookie.as_str())];
        assert_eq!(form(&stage, &headers, &body).await.status(), status, "{origin} {site}");
    }
    assert_eq!(form(&stage, &[("Origin", "null"), ("Cookie", &cookie)], &body).await.status(), 403);

    let plain = Stage::new().await;
    let login = plain.cli().open().await;
    let body = format!("user_code={}&action=continue", login.user_code);
    assert_eq!(form(&plain, &[("Origin", "null"), ("Sec-Fetch-Site", "same-origin")], &body).await.status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_forms_are_logged_once_with_what_came_and_what_was_expected() {
    let stage = Stage::with(1, &[HTTPS]).await;
    for _ in 0..5 {
        form(&stage, &[("Origin", "http://127.0.0.1:3111")], "user_code=BCDF-GHJK&action=continue").await;
    }
    let line = stage.replicas[0].logged("http://127.0.0.1:3111").await;
    assert_eq!(line["level"], "WARN", "{line}");
    assert!(line.to_string().contains("https://auth.example.com"), "{line}");
    let log = stage.replicas[0].log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("127.0.0.1:3111") && line.contains("WARN")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_keeps_no_cookie_is_told_so() {
    let stage = Stage::with(1, &[HTTPS]).await;
    let login = stage.cli().open().await;
    let headers = [("Origin", "https://auth.example.com"), ("Sec-Fetch-Site", "same-origin")];
    let answer = form(&stage, &headers, &format!("user_code={}&action=continue", login.user_code)).await;
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("send our cookie back"));
    assert_eq!(stage.database.count("device_requests WHERE status = 'pending'").await, 1);
}

/// A letter outside ASCII in the cookie of another service on the same host.
#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_of_another_service_spoils_nothing() {
    let stage = Stage::with(1, &[HTTPS]).await;
    let login = stage.cli().open().await;
    let own = given(&stage).await;
    let body = format!("user_code={}&action=continue", login.user_code);
    for cookie in [format!("prefs=münchen; {own}"), format!("{own}; prefs=münchen"), format!("a; =; {own}")] {
        let headers = [("Origin", "https://auth.example.com"), ("Cookie", &cookie)];
        assert_eq!(form(&stage, &headers, &body).await.status(), 303, "{cookie}");
    }
    // No other name may pass for ours.
    for name in ["\u{2000}__Host-postiz-browser", "__host-postiz-browser", "postiz-browser"] {
        let cookie = own.replacen(COOKIE, name, 1);
        let headers = [("Origin", "https://auth.example.com"), ("Cookie", cookie.as_str())];
        assert_eq!(form(&stage, &headers, &body).await.status(), 403, "{name}");
    }
}

/// The key comes with the page, so both submissions of a double click have the same one, and either way back from Postiz is right.
#[tokio::test(flavor = "multi_thread")]
async fn two_clicks_on_continue_are_one_browser() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    let browser = Browser::new();
    let page = browser.visit(&format!("{}?code={}", login.verification_uri, login.user_code)).await;
    let press = || browser.press(&page, ("action", "continue"), &[]);
    let (first, second) = tokio::join!(press(), press());
    assert_eq!(stage.database.count("device_requests WHERE browsers = 1").await, 1);
    let done = browser.approve(&first).await;
    assert!(done.status == 200 && !done.says("no longer valid"), "{}", done.text);
    assert_eq!(login.decided().await, Poll::Token(stage.postiz.live_token().unwrap()));
    assert!(!second.says("no longer valid"), "{}", second.text);
}

/// Behind https, a proxy that passes no address on makes every client one of an unknown network.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_clients_address_nobody_is_near() {
    let stage = Stage::with(1, &[HTTPS]).await;
    let login = stage.cli().open().await;
    assert_eq!(stage.database.count("device_requests WHERE requester IS NULL").await, 1);
    let page = Browser::new().visit(&format!("{}/device/verify?code={}", stage.balancer.url(), login.user_code)).await;
    assert!(page.text.contains(r#"class="code-field""#), "the code is typed: {}", page.text);
    assert!(!page.text.contains("127.0.0.1") && !page.says(&login.user_code), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_must_not_be_compressed() {
    let stage = Stage::new().await;
    let http = http().build().unwrap();
    for path in ["/device/code", "/device/token"] {
        let url = format!("{}{path}", stage.balancer.url());
        let request = http.request(Method::POST, url).header("Content-Encoding", "gzip").header("Content-Type", FORM);
        let answer = request.body("client_id=x").send().await.unwrap();
        assert_eq!(answer.status(), 415, "{path}");
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], "invalid_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_outside_ascii_hides_no_client_behind_the_proxy() {
    let stage = Stage::new().await;
    let login = Cli::new(&stage.balancer.url()).open_at("münchen, 198.51.100.7").await;
    let shown = stage.database.rows("SELECT host(requester) FROM device_requests").await;
    assert_eq!(shown[0].get::<_, String>(0), "198.51.100.7", "{}", login.user_code);
}

/// What people paste and what keyboards of other languages write.
#[tokio::test(flavor = "multi_thread")]
async fn codes_are_understood_as_people_enter_them() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    let plain = login.user_code.replace('-', "");
    let wide: String = plain.chars().map(|letter| char::from_u32(u32::from(letter) + 0xFEE0).unwrap()).collect();
    let dashed = format!("{}\u{30fc}{}", &plain[..4], &plain[4..]);
    let link = format!("{}?user_code={}", login.verification_uri, login.user_code);
    for typed in [plain.as_str(), &plain.to_lowercase(), &wide, &dashed, &link] {
        let browser = Browser::new();
        let form = browser.visit(&format!("{}/device/verify", stage.balancer.url())).await;
        let page = browser.submit(&form, &[("user_code", typed)]).await;
        assert!(page.status == 200 && page.says(&login.user_code), "{typed}: {}", page.text);
        assert!(page.url.query().is_some(), "it was answered with a GET, so Back asks for nothing: {}", page.url);
    }
    for query in ["code=BAD-CODE%252D", "code=%3D"] {
        let page = Browser::new().visit(&format!("{}/device/verify?{query}", stage.balancer.url())).await;
        assert_eq!(page.status, 400, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_has_limits_whatever_the_number_of_its_clients() {
    let stage = Stage::with(1, &[("RATE_LIMIT_CODES", "5")]).await;
    let cli = stage.cli();
    let mut opened = 0;
    for n in 0..40 {
        let request = http().build().unwrap().post(format!("{}/device/code", stage.balancer.url()));
        let answer = request.header("X-Forwarded-For", format!("2001:db8:7:{n:x}::1")).send().await.unwrap();
        opened += usize::from(answer.status() == 200);
    }
    assert!((20..=24).contains(&opened), "four times as many as one client: {opened}");
    cli.open_at("2001:db8:8::1").await;
}

/// By another name of the server, no form of its pages is one of ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_under_another_name_leads_to_the_servers_own() {
    let stage = Stage::with(1, &[HTTPS]).await;
    let answer = form(&stage, &[("Origin", "http://127.0.0.1:3111")], "user_code=BCDF-GHJK&action=continue").await;
    assert_eq!(answer.status(), 403);
    let page = answer.text().await.unwrap();
    assert!(page.contains(r#"href="https://auth.example.com/device/verify""#), "{page}");
}

/// A name that the terminal's client chose is shown as such, and at Postiz; anything else is shown as no name.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_a_name_of_its_own_if_it_is_harmless() {
    let stage =
        Stage::registering(1, &[("OPERATOR_NAME", "Example Ltd"), ("OPERATOR_URL", "https://example.com/")]).await;
    for (client_id, shown) in [("nightly-report", true), ("<b>Postiz</b>", false)] {
        let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("client_id", client_id).finish();
        let opened: Value = stage.cli().send("/device/code", FORM, body).await.json().await.unwrap();
        let browser = Browser::new();
        let page = browser.visit(opened["verification_uri_complete"].as_str().unwrap()).await;
        assert_eq!(page.says("It calls itself") && page.says(client_id), shown, "{}", page.text);
        assert!(page.text.contains(r#"href="https://example.com/""#) && page.says("Example Ltd"), "{}", page.text);
        let consent = browser.press(&page, ("action", "continue"), &[]).await;
        assert_eq!(consent.says(client_id), shown, "{}", consent.text);
    }
    let metadata = format!("{}/.well-known/oauth-authorization-server", stage.balancer.url());
    let metadata: Value = crate::support::get(metadata).await.json().await.unwrap();
    assert_eq!(metadata["service_documentation"], "https://example.com/");
}
