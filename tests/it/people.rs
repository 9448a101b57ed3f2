//! What people meet on the code page.

use postiz_auth_server::grant::BrowserKey;

use crate::support::{Browser, Poll, Stage, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn looking_changes_nothing() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    let before = stage.database.dump();
    let browser = Browser::new();
    for query in ["code", "user_code"] {
        let url = format!("{}?{query}={}", login.verification_uri, login.user_code);
        assert!(browser.visit(&url).await.says(&login.user_code));
        assert_eq!(crate::support::http().build().unwrap().head(&url).send().await.unwrap().status(), 200);
    }
    assert_eq!(lines(&stage.database.dump()), lines(&before));
}

/// A dump's data; its comments and settings hold random keys.
fn lines(dump: &str) -> Vec<&str> {
    dump.lines().filter(|line| !line.starts_with("--") && !line.starts_with('\\')).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_taken_however_it_was_typed() {
    let stage = Stage::new().await;
    let browser = Browser::new();
    let form = browser.visit(&format!("{}/device/verify", stage.balancer.url())).await;
    for typing in [str::to_lowercase, without_dash, spaced, en_dash, line_end] {
        let login = stage.cli().open().await;
        let page = browser.submit(&form, &[("user_code", &typing(&login.user_code))]).await;
        assert!(page.says(&login.user_code) && page.says("127.0.0.1"), "{}", page.text);
        let consent = browser.press(&page, ("action", "continue"), &[]).await;
        assert!(consent.says("Allow postiz-auth-server"), "{}", consent.text);
    }
}

fn without_dash(code: &str) -> String {
    code.replace('-', "")
}
fn spaced(code: &str) -> String {
    format!(" {} ", code.replace('-', " "))
}
fn en_dash(code: &str) -> String {
    code.replace('-', "–")
}
fn line_end(code: &str) -> String {
    format!("{code}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_does_not_do_is_explained() {
    let stage = Stage::new().await;
    let browser = Browser::new();
    let (login, approver, consent) = stage.at_consent().await;
    approver.approve(&consent).await;
    let form = browser.visit(&format!("{}/device/verify", stage.balancer.url())).await;
    for (typed, words) in [
        ("hello", "That isn’t a code"),
        ("<script>alert(1)</script>", "That isn’t a code"),
        ("\u{0}\u{0}", "That isn’t a code"),
        ("BBBB-BBBB", "wrong or no longer valid"),
        (login.user_code.as_str(), "has already been used"),
    ] {
        let page = browser.submit(&form, &[("user_code", typed)]).await;
        assert_eq!(page.status, 400, "{typed}");
        assert!(page.says(words), "{typed}: {}", page.text);
        assert!(!page.text.contains("<script>alert"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_from_another_site_is_stopped() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    let http = crate::support::http().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let post = |headers: &[(&'static str, &str)]| {
        let form = [("user_code", login.user_code.as_str()), ("action", "continue")];
        let cookie = format!("postiz-browser={}", BrowserKey::random().to_cookie());
        let request = http.post(&login.verification_uri).form(&form).header("Cookie", cookie);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send()
    };
    let (own, site) = (stage.balancer.url(), "Sec-Fetch-Site");
    for headers in [
        &[] as &[_],
        &[(site, "cross-site")],
        &[(site, "same-site")],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[("Origin", &own), (site, "cross-site")],
        &[("Origin", &own), ("Origin", "https://evil.example")],
        // DNS rebinding: the browser takes our address for the other site's.
        &[("Origin", "http://evil.example:3000"), (site, "same-origin"), ("Host", "evil.example:3000")],
    ] {
        assert_eq!(post(headers).await.unwrap().status(), 403, "{headers:?}");
    }
    assert_eq!(stage.database.count("device_requests WHERE status = 'pending'").await, 1);
    for headers in [&[("Origin", own.as_str())] as &[_], &[(site, "same-origin")], &[("Origin", &own), (site, "none")]]
    {
        assert_eq!(post(headers).await.unwrap().status(), 303, "{headers:?}");
    }
}

/// As Chromium opens it: from a link, a script, a redirect or a form on another site's page.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_on_another_sites_page_asks_for_the_code_and_looks_nothing_up() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    let url = format!("{}?code={}", login.verification_uri, login.user_code);
    for site in ["cross-site", "same-site"] {
        let page = arrive(&url, &[("Sec-Fetch-Site", site), NAVIGATE, DOCUMENT]).await;
        assert_eq!(page.status(), 200);
        let page = page.text().await.unwrap();
        assert!(page.contains(r#"class="code-field""#) && !page.contains(&login.user_code), "{page}");
        assert!(!page.contains("127.0.0.1"), "nothing of the login is shown: {page}");
    }
    for site in ["none", "same-origin"] {
        let page = arrive(&url, &[("Sec-Fetch-Site", site), NAVIGATE, DOCUMENT]).await.text().await.unwrap();
        assert!(page.contains(&format!(r#"name="user_code" value="{}""#, login.user_code)), "{site}: {page}");
    }
}

const NAVIGATE: (&str, &str) = ("Sec-Fetch-Mode", "navigate");
const DOCUMENT: (&str, &str) = ("Sec-Fetch-Dest", "document");

async fn arrive(url: &str, headers: &[(&'static str, &'static str)]) -> reqwest::Response {
    let request = crate::support::http().build().unwrap().get(url).header("Accept", "text/html");
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn text_in_a_link_that_is_no_code_is_not_shown() {
    let stage = Stage::new().await;
    for text in ["Call+0800-EVIL-NOW", "BCDF-GHJK-or-call-0800", "......BCDF-GHJK!!!!!"] {
        let page = Browser::new().visit(&format!("{}/device/verify?code={text}", stage.balancer.url())).await;
        assert_eq!(page.status, 400, "{text}");
        assert!(!page.text.contains("0800") && !page.text.contains("...."), "{}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_network_has_to_type_the_code() {
    let stage = Stage::new().await;
    let http = crate::support::http().build().unwrap();
    let opened = http.post(format!("{}/device/code", stage.balancer.url())).header("X-Forwarded-For", "203.0.113.7");
    let answer: serde_json::Value = opened.send().await.unwrap().json().await.unwrap();
    let code = answer["user_code"].as_str().unwrap();
    let url = format!("{}/device/verify?code={code}", stage.balancer.url());
    let look = |address: &'static str| {
        let request = http.get(&url).header("X-Forwarded-For", address).header("Accept", "text/html");
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    let same = look("203.0.113.7").await;
    assert!(same.contains(&format!(r#"<input type="hidden" name="user_code" value="{code}">"#)), "{same}");
    let other = look("198.51.100.9").await;
    assert!(other.contains("203.0.113.7") && other.contains("198.51.100.9"), "{other}");
    assert!(other.contains(r#"class="code-field""#), "the code has to be typed: {other}");
    let unknown = look("2001:db8::1").await;
    assert!(unknown.contains(r#"class="code-field""#), "IPv4 and IPv6 may be anybody's: {unknown}");
    assert!(unknown.contains("may have been started on another network"), "{unknown}");
}

/// A person who types a code from a telephone call sees the login before Postiz asks for the approval.
#[tokio::test(flavor = "multi_thread")]
async fn a_typed_code_shows_where_its_login_was_started_before_anything_comes_of_it() {
    let stage = Stage::new().await;
    let login = stage.cli().open_at("203.0.113.7").await;
    let victim = Browser::at("198.51.100.9");
    let form = victim.visit(&format!("{}/device/verify", stage.balancer.url())).await;
    let page = victim.submit(&form, &[("user_code", &login.user_code)]).await;
    assert!(page.says("203.0.113.7") && page.says("198.51.100.9"), "{}", page.text);
    assert!(page.says("If somebody sent you this code, deny this login"), "{}", page.text);
    assert_eq!(stage.database.count("device_requests WHERE status = 'pending'").await, 1);
    assert!(victim.press(&page, ("action", "deny"), &[]).await.says("Login denied"));
    assert_eq!(login.poll().await, Poll::error("access_denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_confirmed_in_two_browsers_is_flagged_and_the_last_one_counts() {
    let stage = Stage::new().await;
    let (login, _, _) = stage.at_consent().await;
    let second = Browser::new();
    let page = second.visit(&format!("{}?code={}", login.verification_uri, login.user_code)).await;
    assert!(page.says("confirmed in another browser"), "{}", page.text);
    let consent = second.press(&page, ("action", "continue"), &[]).await;
    second.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_past_the_form_works_only_for_the_browser_that_confirmed_the_code() {
    let stage = Stage::new().await;
    let (login, first, _) = stage.at_consent().await;
    let link = format!("{}/device/continue?code={}", stage.balancer.url(), login.user_code);
    let again = first.visit(&link).await;
    assert_eq!(again.url.path(), "/oauth/authorize", "{}", again.text);
    let states: Vec<_> = stage.postiz.authorizations().into_iter().map(|query| value(&query, "state")).collect();
    assert_eq!(states.len(), 2);
    assert_eq!(states[0], states[1], "the same way to Postiz");

    let second = Browser::new();
    let unbegun = stage.cli().open().await;
    for (browser, code) in
        [(&Browser::new(), &login.user_code), (&second, &login.user_code), (&first, &unbegun.user_code)]
    {
        let page = browser.visit(&format!("{}/device/continue?code={code}", stage.balancer.url())).await;
        assert_eq!((page.status, page.url.path()), (400, "/device/continue"), "{}", page.text);
        assert!(page.says("wrong or no longer valid"), "{}", page.text);
    }
    second.confirm(&login).await;
    assert_eq!(first.visit(&link).await.status, 400, "the last browser to confirm counts");
    let consent = second.visit(&link).await;
    second.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
    let used = second.visit(&link).await;
    assert!(used.says("already been used"), "{}", used.text);
}

fn value(query: &[(String, String)], wanted: &str) -> String {
    query.iter().find(|(name, _)| name == wanted).unwrap().1.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_assets_of_a_page_are_served_and_cached_for_ever() {
    let stage = Stage::new().await;
    let page = Browser::new().visit(&format!("{}/device/verify", stage.balancer.url())).await;
    let named: Vec<&str> = page.text.split('"').filter(|text| text.starts_with("/assets/")).collect();
    assert!(named.iter().any(|name| name.starts_with("/assets/style.")), "{}", page.text);
    for name in named {
        let asset = Browser::new().visit(&format!("{}{name}", stage.balancer.url())).await;
        assert_eq!(asset.status, 200, "{name}");
        assert!(asset.headers["cache-control"].to_str().unwrap().contains("immutable"), "{name}");
    }
    let none = Browser::new().visit(&format!("{}/assets/style.0000000000.css", stage.balancer.url())).await;
    assert_eq!(none.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_terminal_is_distinguished_from_a_polling_one() {
    let stage = Stage::with(2, &[("LONG_POLL_SECONDS", "0")]).await;
    let login = stage.cli().open().await;
    let url = format!("{}?code={}", login.verification_uri, login.user_code);
    stage.database.run("UPDATE device_requests SET opened_at = opened_at - interval '3 minutes'").await;
    let browser = Browser::new();
    let page = browser.visit(&url).await;
    assert!(page.says("stopped waiting"), "before approving: {}", page.text);
    let consent = browser.press(&page, ("action", "continue"), &[]).await;
    let done = browser.approve(&consent).await;
    assert!(done.says("Approved, but your terminal has stopped waiting"), "{}", done.text);
    assert!(browser.visit(done.url.as_str()).await.says("has stopped waiting"), "a reload says the same");

    let login = stage.cli().open().await;
    let url = format!("{}?code={}", login.verification_uri, login.user_code);
    stage.database.run("UPDATE device_requests SET opened_at = opened_at - interval '3 minutes'").await;
    login.poll().await;
    let polled = "device_requests WHERE polled_at IS NOT NULL";
    eventually("the poll to be noted", async || stage.database.count(polled).await > 0).await;
    assert!(!Browser::new().visit(&url).await.says("stopped waiting"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_carry_the_headers_that_keep_them_ours() {
    let stage = Stage::new().await;
    let page = Browser::new().visit(&format!("{}/device/verify", stage.balancer.url())).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains(&format!("form-action 'self' {};", stage.postiz.frontend_url())), "{policy}");
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(page.headers[name], value);
    }
    assert!(!page.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_text_of_postiz_appears_on_no_page() {
    let stage = Stage::new().await;
    let (_, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    let (address, query) = callback.split_once('?').unwrap();
    let returned = query.split('&').find(|pair| pair.starts_with("state=")).unwrap();
    for error in ["server_error", "temporarily_unavailable", "a<b>c"] {
        let url = format!(
            "{address}?{returned}&error={error}&error_description=Zyzzyva&error_uri=https%3A%2F%2Fzyzzyva.example"
        );
        let page = browser.visit(&url).await;
        assert_eq!(page.status, 400);
        assert!(!page.text.to_lowercase().contains("zyzzyva") && !page.text.contains("<b>c"), "{}", page.text);
    }
    assert!(!stage.replicas[0].log().to_lowercase().contains("zyzzyva"));
    assert_eq!(browser.visit(&callback).await.status, 200, "and the login was still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_come_from_the_configuration_and_not_from_a_request() {
    let stage = Stage::with(1, &[("SERVER_URL", "https://auth.example.com")]).await;
    let http = crate::support::http().build().unwrap();
    let lie = |request: reqwest::RequestBuilder| {
        let request = request.header("Host", "evil.example").header("X-Forwarded-Host", "evil.example");
        request.header("X-Forwarded-Proto", "http").header("Forwarded", "host=evil.example;proto=http").send()
    };
    let base = stage.balancer.url();
    for answer in [
        lie(http.post(format!("{base}/device/code"))).await.unwrap(),
        lie(http.get(format!("{base}/.well-known/oauth-authorization-server"))).await.unwrap(),
        lie(http.get(&base).header("Accept", "text/html")).await.unwrap(),
    ] {
        // On the page, the address may break after a dot.
        let text = answer.text().await.unwrap().replace("<wbr>", "");
        assert!(text.contains("https://auth.example.com") && !text.contains("evil"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_site_may_read_an_answer() {
    let stage = Stage::new().await;
    let http = crate::support::http().build().unwrap();
    for path in ["/device/token", "/device/code", "/device/verify"] {
        let url = format!("{}{path}", stage.balancer.url());
        let preflight = http.request(reqwest::Method::OPTIONS, &url).header("Access-Control-Request-Method", "POST");
        for request in [http.post(&url), http.get(&url), preflight] {
            let answer = request.header("Origin", "https://evil.example").send().await.unwrap();
            let named = answer.headers().keys().find(|name| name.as_str().starts_with("access-control-"));
            assert_eq!(named, None, "{path}");
            assert_eq!(answer.headers()["cross-origin-resource-policy"], "same-origin", "{path}");
        }
    }
}
