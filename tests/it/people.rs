//! What people meet on the code page.

use postiz_auth_server::grant::BrowserKey;

use crate::support::{Browser, FORM, HTML, Poll, Stage, eventually, send};

#[tokio::test(flavor = "multi_thread")]
async fn looking_changes_nothing() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    let rows = async || -> String {
        stage.database.rows("SELECT grants::text FROM device_requests AS grants").await[0].get(0)
    };
    let before = rows().await;
    for url in [login.link(), login.link().replace("code=", "user_code=")] {
        Browser::new().visit(&url).await.assert_shows(200, &login.user_code);
        assert_eq!(send("HEAD", &url, &[], "").await.status(), 200);
    }
    assert_eq!(rows().await, before);
}

/// What people paste and what keyboards of other languages write.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_taken_however_it_was_typed() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    let plain = login.user_code.replace('-', "");
    let wide: String = plain.chars().map(|letter| char::from_u32(u32::from(letter) + 0xFEE0).unwrap()).collect();
    let (start, end) = plain.split_at(4);
    for typed in
        [plain.to_lowercase(), wide, format!("{start}\u{30fc}{end}"), format!(" {start} {end}\r\n"), login.link()]
    {
        let browser = Browser::new();
        let page = browser.enter(&login.verification_uri, &typed).await;
        page.assert_shows(200, &login.user_code);
        page.assert_shows(200, "127.0.0.1");
        assert!(page.url.query().is_some(), "it was answered with a GET, so Back asks for nothing: {}", page.url);
        browser.go_on(&page).await.assert_shows(200, "Allow postiz-auth-server");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_does_not_do_is_explained_and_other_text_is_not_shown() {
    let stage = Stage::new().await;
    let browser = Browser::new();
    let used = stage.approved().await.0.user_code;
    for (typed, words) in [
        ("<script>alert(1)</script>", "That isn’t a code"),
        ("BCDF-GHJK-or-call-0800", "That isn’t a code"),
        ("......BCDF-GHJK!!!!!", "wrong or no longer valid"),
        ("BBBB-BBBB", "wrong or no longer valid"),
        (&used, "has already been used"),
    ] {
        let empty = stage.url("/device/verify");
        let mut link = url::Url::parse(&empty).unwrap();
        link.query_pairs_mut().append_pair("code", typed);
        browser.enter(&empty, typed).await.assert_shows(400, words);
        let page = browser.visit(link.as_str()).await;
        page.assert_shows(400, words);
        for piece in ["<script>alert", "0800", "....."] {
            assert!(!page.text.contains(piece), "{typed}: {}", page.text);
        }
    }
}

/// A proxy that adds `Referrer-Policy: no-referrer` to our pages makes browsers send `Origin: null` with their forms.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_from_another_site_is_stopped() {
    let (plain, https) = (Stage::new().await, Stage::with(1, &[("SERVER_URL", "https://auth.example.com")]).await);
    let (own, site, null) = (plain.balancer.url(), "Sec-Fetch-Site", ("Origin", "null"));
    for (stage, headers, status) in [
        (&plain, &[("Origin", "https://evil.example")][..], 403),
        (&plain, &[null, (site, "same-origin")], 403),
        // DNS rebinding: the browser takes our address for the other site's.
        (&plain, &[("Origin", "http://evil.example:3000"), (site, "same-origin"), ("Host", "evil.example:3000")], 403),
        (&plain, &[("Origin", &own)], 303),
        (&https, &[null, (site, "cross-site")], 403),
        (&https, &[null, (site, "same-origin")], 303),
    ] {
        let login = stage.cli().open().await;
        let key = BrowserKey::random().to_cookie();
        let cookie = format!("postiz-browser={key}; __Host-postiz-browser={key}");
        let headers = [headers, &[("Cookie", &cookie), ("Content-Type", FORM), HTML]].concat();
        let form = format!("user_code={}&action=continue", login.user_code);
        let answer = send("POST", &stage.url("/device/verify"), &headers, &form).await;
        assert_eq!(answer.status(), status, "{headers:?}");
        let begun = stage.database.count("device_requests WHERE status = 'authorizing'").await;
        assert_eq!(begun, i64::from(status == 303), "{headers:?}");
        stage.database.run("DELETE FROM device_requests").await;
    }
}

/// As Chromium opens it: by hand, or from a link, a script, a redirect or a form on another site's page; and what such a page can
/// load. Under plain http, another site's name may lead here, and its pages may read the answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_on_another_sites_page_asks_for_the_code_and_looks_nothing_up() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    let (site, mode, dest) = ("Sec-Fetch-Site", ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"));
    for (headers, status, filled_in) in [
        (&[(site, "none"), mode, dest][..], 200, true),
        (&[(site, "cross-site"), mode, dest], 200, false),
        (&[("Host", "evil.example:3000")], 200, false),
        (&[(site, "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")], 403, false),
        (&[(site, "none"), mode, dest, ("Sec-Purpose", "prefetch;prerender")], 403, false),
    ] {
        let page = send("GET", &login.link(), headers, "").await;
        assert_eq!(page.status(), status, "{headers:?}");
        let page = page.text().await.unwrap();
        let shown = (page.contains(&login.user_code), page.contains("127.0.0.1"), page.contains("code-field"));
        assert_eq!(shown, (filled_in, filled_in, status == 200 && !filled_in), "{headers:?}: {page}");
        if !filled_in {
            let wrong = format!("{}?code=BBBB-BBBB", login.verification_uri);
            assert_eq!(send("HEAD", &wrong, headers, "").await.status(), status, "{headers:?}");
        }
    }
    assert_eq!(stage.database.count("postiz_auth_wrong_codes").await, 0);
}

/// A person who types a code from a telephone call sees the login before Postiz asks for the approval.
#[tokio::test(flavor = "multi_thread")]
async fn another_network_has_to_type_the_code_and_sees_where_its_login_was_started() {
    let stage = Stage::new().await;
    let login = stage.cli().open_at("203.0.113.7").await;
    let victim = Browser::at("198.51.100.9");
    for (page, typed, words) in [
        (Browser::at("203.0.113.7").view(&login).await, false, "203.0.113.7"),
        (victim.view(&login).await, true, "This login was started on another network"),
        (victim.enter(&login.verification_uri, &login.user_code).await, false, "If somebody sent you this code, deny"),
        // IPv4 and IPv6 may be anybody's.
        (Browser::at("2001:db8::1").view(&login).await, true, "may have been started on another network"),
    ] {
        page.assert_shows(200, words);
        page.assert_shows(200, "203.0.113.7");
        assert_eq!(page.text.contains(r#"class="code-field""#), typed, "{}", page.text);
    }
    // As a page of ours leads there that says "one moment" and reloads itself.
    for lie in ["1".to_owned(), BrowserKey::random().to_cookie()] {
        let link = format!("{}&typed={lie}", login.link());
        let headers = [("X-Forwarded-For", "198.51.100.9"), ("Sec-Fetch-Site", "same-origin"), HTML];
        let page = send("GET", &link, &headers, "").await.text().await.unwrap();
        assert!(page.contains(r#"class="code-field""#), "{page}");
    }
    assert_eq!(stage.database.count("device_requests WHERE status = 'pending'").await, 1);
    let page = victim.enter(&login.verification_uri, &login.user_code).await;
    page.assert_shows(200, "198.51.100.9");
    victim.deny(&page).await.assert_shows(200, "Login denied");
    assert_eq!(login.poll().await, Poll::error("access_denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_past_the_form_works_only_for_the_browser_that_confirmed_the_code() {
    let stage = Stage::new().await;
    let (login, first, consent) = stage.at_consent().await;
    let link = |code: &str| stage.url(&format!("/device/continue?code={code}"));
    let again = first.visit(&link(&login.user_code)).await;
    assert_eq!(again.parameter("state"), consent.parameter("state"), "the same way to Postiz");

    let second = Browser::new();
    let unbegun = stage.cli().open().await;
    for (browser, code) in [(&second, &login.user_code), (&first, &unbegun.user_code)] {
        let page = browser.visit(&link(code)).await;
        assert_eq!(page.url.path(), "/device/continue");
        page.assert_shows(400, "wrong or no longer valid");
    }
    let page = second.view(&login).await;
    page.assert_shows(200, "confirmed in another browser");
    second.go_on(&page).await;
    first.visit(&link(&login.user_code)).await.assert_shows(400, "wrong or no longer valid");
    second.approve(&second.visit(&link(&login.user_code)).await).await;
    stage.assert_signed_in(&login).await;
    second.visit(&link(&login.user_code)).await.assert_shows(400, "already been used");
    assert_eq!(stage.log().matches("did not follow the form").count(), 1, "repeats are counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_terminal_is_distinguished_from_a_polling_one() {
    let stage = Stage::with(2, &[("LONG_POLL_SECONDS", "0")]).await;
    let (inactive, polling) = (stage.cli().open().await, stage.cli().open().await);
    stage.database.run("UPDATE device_requests SET opened_at = opened_at - interval '3 minutes'").await;
    polling.poll().await;
    let polled = "device_requests WHERE polled_at IS NOT NULL";
    eventually("the poll to be noted", async || stage.database.count(polled).await > 0).await;
    assert!(!Browser::new().view(&polling).await.says("stopped waiting"));

    let browser = Browser::new();
    let page = browser.view(&inactive).await;
    page.assert_shows(200, "stopped waiting");
    let done = browser.approve(&browser.go_on(&page).await).await;
    done.assert_shows(200, "Approved, but your terminal has stopped waiting");
    browser.visit(done.url.as_str()).await.assert_shows(200, "has stopped waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_carry_the_headers_that_keep_them_ours() {
    let stage = Stage::new().await;
    let page = Browser::new().visit(&stage.url("/device/verify")).await;
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
        assert_eq!(page.headers[name], value, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_text_of_postiz_appears_on_no_page() {
    let stage = Stage::new().await;
    let (_, browser, consent) = stage.at_consent().await;
    let callback = browser.approve_only(&consent).await;
    for error in ["server_error", "temporarily_unavailable", "a<b>c"] {
        let failed = format!("error={error}&error_description=Zyzzyva&error_uri=https%3A%2F%2Fzyzzyva.example&x=");
        let page = browser.visit(&callback.replace("code=", &failed)).await;
        assert_eq!(page.status, 400, "{error}");
        assert!(!page.text.to_lowercase().contains("zyzzyva") && !page.text.contains("<b>c"), "{}", page.text);
    }
    assert!(!stage.log().to_lowercase().contains("zyzzyva"));
    assert_eq!(browser.visit(&callback).await.status, 200, "and the login was still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_come_from_the_configuration_and_not_from_a_request() {
    let stage = Stage::with(1, &[("SERVER_URL", "https://auth.example.com")]).await;
    let lies = [
        ("Host", "evil.example"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "http"),
        ("Forwarded", "host=evil.example;proto=http"),
        HTML,
    ];
    for (method, path) in [("POST", "/device/code"), ("GET", "/.well-known/oauth-authorization-server"), ("GET", "/")] {
        let answer = send(method, &stage.url(path), &lies, "").await;
        // On the page, the address may break after a dot.
        let text = answer.text().await.unwrap().replace("<wbr>", "");
        assert!(text.contains("https://auth.example.com") && !text.contains("evil"), "{path}: {text}");
    }
}
