//! The log tells the story of a login, by a reference that the person and the terminal see too.

use std::fmt;

use serde_json::Value;
use stand_in::Fault;

use crate::support::{Browser, Login, Stage, eventually};

/// The lines about one login, at the level of `info` and above, in the order of their times.
fn story(stage: &Stage, reference: &str) -> Vec<String> {
    let lines: Vec<Value> = stage
        .replicas
        .iter()
        .flat_map(|replica| replica.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>())
        .collect();
    let mut about: Vec<&Value> = lines.iter().filter(|line| line["grant"] == reference).collect();
    about.sort_by_key(|line| line["timestamp"].as_str().unwrap().to_owned());
    assert!(about.iter().all(|line| line["span"]["request_id"].is_string()), "each with its request: {about:?}");
    about.iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect()
}

/// Fails unless this is the story, once all of it has been read.
async fn tells(stage: &Stage, reference: &str, expected: &[&str]) {
    let what = fmt::from_fn(|f| write!(f, "{expected:?} in the log, which says {:?}", story(stage, reference)));
    eventually(what, async || story(stage, reference).len() >= expected.len()).await;
    assert_eq!(story(stage, reference), expected);
}

/// What a poll says of the login: `(reference 1a2b3c4d)`.
async fn reference(stage: &Stage, login: &Login) -> String {
    let form =
        format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code={}", login.device_code);
    let answer = stage.cli().send("/device/token", "application/x-www-form-urlencoded", form).await;
    let answer: Value = answer.json().await.unwrap();
    let description = answer["error_description"].as_str().unwrap();
    let (_, found) = description.split_once("(reference ").unwrap_or_else(|| panic!("{answer}"));
    found.split(')').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_of_a_login_is_one_line_with_the_reference_that_person_and_terminal_see() {
    let stage = Stage::with(2, &[]).await;
    let (login, browser, consent) = stage.at_consent().await;
    let reference = reference(&stage, &login).await;
    stage.postiz.next_exchanges([Fault::BadGateway]);
    let callback = browser.approve_only(&consent).await;
    let failed = browser.visit(&callback).await;
    assert!(failed.says(&reference), "the page of a failure names {reference}: {}", failed.text);
    let done = browser.visit(&callback).await;
    assert!(done.says(&reference), "{}", done.text);
    login.decided().await;
    tells(
        &stage,
        &reference,
        &[
            "grant opened",
            "grant begun: the browser is sent to Postiz",
            "grant claimed: its code is exchanged",
            "the exchange failed",
            "grant claimed: its code is exchanged",
            "grant approved",
            "token delivered",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_and_an_expiry_name_the_login_too() {
    let stage = Stage::new().await;
    let (denied, expired) = (stage.cli().open().await, stage.cli().open().await);
    let browser = Browser::new();
    let page = browser.visit(&format!("{}?code={}", denied.verification_uri, denied.user_code)).await;
    let page = browser.press(&page, ("action", "deny"), &[]).await;
    let of_denied = reference(&stage, &denied).await;
    assert!(page.says(&of_denied), "{}", page.text);
    tells(&stage, &of_denied, &["grant opened", "grant denied"]).await;
    stage.database.run("UPDATE device_requests SET expires_at = now()").await;
    let of_expired = reference(&stage, &expired).await;
    assert_ne!(of_expired, of_denied);
    tells(&stage, &of_expired, &["grant opened"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_the_id_that_the_proxy_gave_it_where_that_is_well_formed() {
    let stage = Stage::new().await;
    let ask = async |id: &str| {
        let request = crate::support::http().build().unwrap().post(format!("{}/device/code", stage.balancer.url()));
        let answer = request.header("X-Request-Id", id).send().await.unwrap();
        answer.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(ask("proxy-7.a_b").await, "proxy-7.a_b");
    let opened = stage.replicas[0].logged("grant opened").await;
    assert!(opened.to_string().contains("proxy-7.a_b"), "{opened}");
    for unfit in ["", "a b", "x\"y", &"a".repeat(65)] {
        let id = ask(unfit).await;
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{unfit:?}: {id}");
    }
}
