//! No secret in the database, in a log or on a page.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use stand_in::Fault;
use url::Url;

use crate::support::{Browser, CLIENT_SECRET, JSON, Poll, Stage, eventually, get};

/// A secret in the forms in which it could have slipped out.
pub fn forms(secret: &str) -> Vec<String> {
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let mut forms = vec![
        secret.to_owned(),
        hex(secret.as_bytes()),
        BASE64_NOPAD.encode(secret.as_bytes()),
        format!("{:?}", secret.as_bytes()),
    ];
    // What travels as base64url or hex is bytes inside.
    if let Ok(bytes) = BASE64URL_NOPAD.decode(secret.as_bytes()) {
        forms.extend([hex(&bytes), format!("{bytes:?}"), BASE64_NOPAD.encode(&bytes)]);
    }
    forms
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_dump_nor_a_trace_holds_a_secret() {
    let stage = Stage::with(2, &[]).await;
    let (login, browser, consent) = stage.at_consent().await;
    let under_way = stage.database.dump();
    let callback = Url::parse(&browser.approve_only(&consent).await).unwrap();
    browser.visit(callback.as_str()).await;
    let approved = stage.database.dump();
    let Poll::Token(token) = login.decided().await else { panic!("no token") };
    let delivered = stage.database.dump();
    let elsewhere = stumble(&stage).await;
    // Errors are logged too.
    browser.visit(&format!("{callback}?x=y")).await;
    stage.cli().send("/device/token", JSON, format!("{{\"device_code\":\"{}\"", login.device_code)).await;

    let query = |name: &str| callback.query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned();
    let cookie = browser.cookie(&callback, "postiz-browser").expect("the cookie of the page");
    let password = Url::parse(&stage.database.url()).unwrap().password().unwrap_or("no-password-here").to_owned();
    let log = stage.log();
    assert!(log.contains("grant approved") && log.contains("request answered"), "the log is at its most talkative");
    for (what, secret) in [
        ("token", token.as_str()),
        ("device code", &login.device_code),
        ("state", &query("state")),
        ("authorization code", &query("code")),
        ("challenge", &consent.parameter("code_challenge")),
        ("cookie", &cookie),
        ("device code of a login that went wrong", &elsewhere),
        ("client secret", CLIENT_SECRET),
        ("database password", &password),
    ] {
        for (place, text) in [("log", &log), ("first dump", &under_way), ("second", &approved), ("third", &delivered)] {
            for form in forms(secret) {
                assert!(!text.contains(&form), "the {what} stands in the {place} as {form}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_cookie_of_postiz_is_neither_logged_nor_passed_on() {
    const SESSION: &str = "session-of-postiz-on-the-whole-domain";
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    let browser = Browser::with_cookie(&format!("auth={SESSION}"), &stage.balancer.url());
    browser.approve(&browser.confirm(&login).await).await.assert_shows(200, "");
    login.decided().await;
    eventually("the trial of the token", async || !stage.postiz.trials().is_empty()).await;
    // A route that does not exist is logged too.
    browser.visit(&stage.url("/nothing")).await;
    assert_eq!(stage.postiz.exchanges().len(), 1);
    assert_eq!(stage.postiz.cookies(), [] as [&str; 0]);
    assert_eq!(stage.postiz.trials()[0].cookie, None);
    let log = stage.log();
    assert!(log.contains("request answered") && !log.contains(SESSION), "{log}");
    assert!(!stage.database.dump().contains(SESSION));
}

/// Takes logins down the other paths, each of which has something to log; returns a device code.
async fn stumble(stage: &Stage) -> String {
    for fault in [
        Fault::ClientRefused,
        Fault::CodeRefused,
        Fault::HalfAnswer,
        Fault::NoToken,
        Fault::Redirect("https://elsewhere.example/".to_owned()),
    ] {
        let (_, browser, consent) = stage.at_consent().await;
        stage.postiz.next_exchanges([fault]);
        let callback = browser.approve_only(&consent).await;
        browser.visit(&callback).await;
        // In another browser; with another state; with none.
        for url in [callback.as_str(), &callback.replace("state=", "state=x"), &callback.replace("state=", "s=")] {
            Browser::new().visit(url).await;
        }
    }
    let (login, browser, consent) = stage.at_consent().await;
    browser.deny_at_postiz(&consent).await;
    login.decided().await;
    let (login, browser, _) = stage.at_consent().await;
    browser.visit(&format!("{}?code={}", login.verification_uri, login.device_code)).await;
    stage.database.run("UPDATE device_requests SET expires_at = now()").await;
    login.poll_form().await;
    login.device_code
}

#[tokio::test(flavor = "multi_thread")]
async fn under_https_the_cookie_belongs_to_this_host_alone() {
    let stage = Stage::with(1, &[("SERVER_URL", "https://auth.example.com")]).await;
    let page = get(stage.url("/device/verify")).await;
    let cookie = page.headers()["set-cookie"].to_str().unwrap();
    for part in ["__Host-postiz-browser=", "; Path=/;", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
}
