//! Guessing and flooding: who is held off, what they learn, and that nobody else notices.

use postiz_auth_server::config::Config;
use postiz_auth_server::store::Store;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::support::{Browser, Cli, Database, Login, Page, Poll, Stage, eventually};

const GUESSER: &str = "198.51.100.66";

/// A well-formed code that was never issued, another one for each `n`.
fn wrong(n: usize) -> String {
    const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
    format!("ZZZZ-ZZ{}{}", char::from(LETTERS[n / 20 % 20]), char::from(LETTERS[n % 20]))
}

async fn look(stage: &Stage, browser: &Browser, code: &str) -> Page {
    browser.visit(&format!("{}/device/verify?code={code}", stage.balancer.url())).await
}

/// Types a code into the empty field.
async fn enter(stage: &Stage, browser: &Browser, code: &str) -> Page {
    let form = browser.visit(&format!("{}/device/verify", stage.balancer.url())).await;
    browser.submit(&form, &[("user_code", code)]).await
}

fn assert_held_off(page: &Page, login: &Login) {
    assert_eq!(page.status, 429, "{}", page.text);
    let wait: u64 = page.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
    assert!(page.says("Too many wrong codes") && page.says("Come back in"), "{}", page.text);
    assert!(!page.text.contains(&login.user_code) && !page.text.contains("Reference"), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn past_ten_wrong_codes_a_client_is_held_off_at_every_replica_and_told_nothing() {
    let stage = Stage::with(2, &[]).await;
    let login = stage.cli().open_at(GUESSER).await;
    let guesser = Browser::at(GUESSER);
    for n in 0..10 {
        // By a link, by typing, with a right one in between: only the wrong ones count, and all of them.
        assert!(look(&stage, &guesser, &login.user_code).await.says(&login.user_code));
        let (by_link, code) = (n % 2 == 0, wrong(n));
        let page = if by_link { look(&stage, &guesser, &code).await } else { enter(&stage, &guesser, &code).await };
        assert!(page.status == 400 && page.says("isn’t known here"), "{n}: {}", page.text);
    }
    for _ in 0..4 {
        assert_held_off(&look(&stage, &guesser, &wrong(10)).await, &login);
        assert_held_off(&look(&stage, &guesser, &login.user_code).await, &login);
        assert_held_off(&enter(&stage, &guesser, &login.user_code).await, &login);
    }
    assert_eq!(stage.database.count("device_requests WHERE status = 'pending'").await, 1);
    assert_eq!(stage.database.rows("SELECT wrong FROM guess_counters").await[0].get::<_, i32>(0), 10);

    let neighbour = Browser::at("198.51.100.67");
    assert!(look(&stage, &neighbour, &wrong(11)).await.says("isn’t known here"));

    stage.database.run("UPDATE guess_counters SET ends_at = now()").await;
    assert!(look(&stage, &guesser, &login.user_code).await.says(&login.user_code));
    assert_eq!(look(&stage, &guesser, &wrong(12)).await.status, 400);
    assert_eq!(stage.database.count("guess_counters WHERE wrong = 1 AND ends_at > now()").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_sent_all_at_once_are_no_more_guesses() {
    let stage = Stage::with(2, &[]).await;
    let mut sent = JoinSet::new();
    for n in 0..100 {
        let (guesser, url) =
            (Browser::at(GUESSER), format!("{}/device/verify?code={}", stage.balancer.url(), wrong(n)));
        sent.spawn(async move { guesser.visit(&url).await.status });
    }
    let answered = sent.join_all().await;
    assert_eq!(answered.iter().filter(|status| **status == 400).count(), 10, "{answered:?}");
    assert_eq!(answered.iter().filter(|status| **status == 429).count(), 90, "{answered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_ipv6_line_is_one_client() {
    let stage = Stage::with(1, &[("RATE_LIMIT_GUESSES", "2")]).await;
    for (address, status) in
        [("2001:db8:1:2::1", 400), ("2001:db8:1:2::2", 400), ("2001:db8:1:2::3", 429), ("2001:db8:1:3::1", 400)]
    {
        assert_eq!(look(&stage, &Browser::at(address), &wrong(0)).await.status, status, "{address}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_counts_no_wrong_code() {
    let stage = Stage::with(1, &[("RATE_LIMIT_GUESSES", "0")]).await;
    for n in 0..20 {
        assert_eq!(look(&stage, &Browser::at(GUESSER), &wrong(n)).await.status, 400);
    }
    assert_eq!(stage.database.count("guess_counters").await, 0);
}

/// Wrong codes from very many addresses, none of them over its own limit.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_whole_server_is_guessed_at_a_code_from_elsewhere_is_typed_twice() {
    let stage = Stage::new().await;
    let login = stage.cli().open_at("203.0.113.7").await;
    stage.database.run("INSERT INTO guess_counters VALUES ('all', 30000000, now() + interval '9 minutes')").await;
    let elsewhere = Browser::at(GUESSER);
    let noticed = async || look(&stage, &elsewhere, &login.user_code).await.says("once more");
    eventually("the page that asks for the code once more", noticed).await;

    // A right code and a wrong one look the same, and nothing comes of either.
    let (right, other) =
        (enter(&stage, &elsewhere, &login.user_code).await, enter(&stage, &elsewhere, &wrong(1)).await);
    assert_eq!(right.status, other.status);
    assert!(right.says("once more") && other.says("once more"));
    assert!(!right.text.contains("203.0.113.7") && !right.text.contains("Reference"), "{}", right.text);
    // The mark of one code opens no other.
    assert!(elsewhere.submit(&other, &[("user_code", &login.user_code)]).await.says("once more"));
    assert!(elsewhere.submit(&other, &[("user_code", &wrong(1))]).await.says("isn’t known here"));
    let page = elsewhere.submit(&right, &[("user_code", &login.user_code)]).await;
    assert!(page.says("203.0.113.7"), "{}", page.text);
    let consent = elsewhere.press(&page, ("action", "continue"), &[]).await;
    assert!(consent.says("Allow postiz-auth-server"), "{}", consent.text);

    // Where the login was started, nobody notices.
    let second = stage.cli().open_at("203.0.113.7").await;
    let here = Browser::at("203.0.113.7");
    let page = look(&stage, &here, &second.user_code).await;
    let consent = here.press(&page, ("action", "continue"), &[]).await;
    here.approve(&consent).await;
    assert_eq!(Some(second.decided().await), stage.postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_starts_too_many_logins_waits_and_nobody_else_does() {
    let stage = Stage::with(1, &[("RATE_LIMIT_CODES", "3")]).await;
    let mut logins = Vec::new();
    for _ in 0..3 {
        logins.push(stage.cli().open().await);
    }
    let answer = stage.cli().send("/device/code", "application/json", String::new()).await;
    assert_eq!(answer.status(), 429);
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"], "temporarily_unavailable");
    assert!(body["error_description"].as_str().unwrap().contains("Try again in"), "{body}");
    assert_eq!(stage.database.count("device_requests").await, 3);

    stage.cli().open_at("203.0.113.8").await;
    let browser = Browser::new();
    let consent = browser.confirm(&logins[0]).await;
    browser.approve(&consent).await;
    assert_eq!(Some(logins[0].decided().await), stage.postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_of_made_up_codes_are_cut_off_and_a_neighbours_login_is_not() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let mut sent = JoinSet::new();
    for n in 0..300 {
        let cli = Cli::new(&stage.balancer.url());
        let body = json!({ "device_code": format!("{n:064x}") }).to_string();
        sent.spawn(async move {
            let answer = cli.send("/device/token", "application/json", body).await;
            let closes = answer.headers().get("connection").is_some_and(|value| value == "close");
            let (status, waits) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
            assert_eq!(answer.json::<Value>().await.unwrap()["error"], "invalid_grant");
            (status, waits, closes)
        });
    }
    let decided = tokio::spawn({
        let login = login.clone();
        async move { login.decided().await }
    });
    let answered = sent.join_all().await;
    let held_off = answered.iter().filter(|answer| **answer == (429, true, true)).count();
    assert!(held_off > 50, "{held_off}");
    assert!(answered.iter().all(|answer| matches!(answer, (400, false, false) | (429, true, true))), "{answered:?}");
    browser.approve(&consent).await;
    assert_eq!(Some(decided.await.unwrap()), stage.postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_whose_window_is_over_are_swept() {
    let database = Database::new().await;
    let variables = [
        ("DATABASE_URL", database.url()),
        ("POSTIZ_OAUTH_CLIENT_ID", "x".to_owned()),
        ("POSTIZ_OAUTH_CLIENT_SECRET", "x".to_owned()),
    ];
    let config = Config::from_vars(variables.map(|(name, value)| (name.into(), value.into()))).unwrap();
    let store = Store::new(&config, &Handle::current()).unwrap();
    store.migrate().await.unwrap();
    database
        .run(
            "INSERT INTO guess_counters
             SELECT n::text, 1, now() + interval '1 minute' * (n - 5) FROM generate_series(1, 10) AS n",
        )
        .await;
    assert_eq!(store.sweep_guesses(3).await, Ok(3));
    assert_eq!(store.sweep_guesses(100).await, Ok(2));
    assert_eq!(database.count("guess_counters WHERE ends_at > now()").await, 5);
    assert_eq!(database.count("guess_counters").await, 5);
}
