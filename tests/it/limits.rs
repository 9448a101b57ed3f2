//! Guessing and flooding: the client is rate-limited, learns nothing, and delays no other client.

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Browser, Cli, Database, JSON, Login, Page, Stage, assert_error, config, store};

const GUESSER: &str = "198.51.100.66";

/// A well-formed code that was never issued, another one for each `n`.
fn wrong(n: usize) -> String {
    const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
    format!("ZZZZ-ZZ{}{}", char::from(LETTERS[n / 20 % 20]), char::from(LETTERS[n % 20]))
}

async fn look(stage: &Stage, browser: &Browser, code: &str) -> Page {
    browser.visit(&stage.url(&format!("/device/verify?code={code}"))).await
}

fn assert_rate_limited(page: &Page, login: &Login) {
    page.assert_shows(429, "Too many tries from your network");
    let wait: u64 = page.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=900).contains(&wait) && page.says("Come back in"), "{wait}: {}", page.text);
    assert!(!page.text.contains(&login.user_code) && !page.text.contains("Reference"), "{}", page.text);
}

async fn counted(stage: &Stage) -> Vec<(String, i32)> {
    let rows = stage.database.rows("SELECT client, wrong FROM postiz_auth_wrong_codes WHERE client LIKE '%/32'").await;
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn past_ten_wrong_codes_a_client_is_rate_limited_at_every_replica_even_for_right_codes() {
    let stage = Stage::with(2, &[]).await;
    let login = stage.cli().open_at("203.0.113.9").await;
    let guesser = Browser::at(GUESSER);
    let empty = stage.url("/device/verify");
    for n in 0..10 {
        // By a link, by typing, with a right one in between: only the wrong ones count, and all of them.
        assert_eq!(look(&stage, &guesser, &login.user_code).await.status, 200);
        let (by_link, code) = (n % 2 == 0, wrong(n));
        let page = if by_link { look(&stage, &guesser, &code).await } else { guesser.enter(&empty, &code).await };
        page.assert_shows(400, "wrong or no longer valid");
    }
    for _ in 0..4 {
        assert_rate_limited(&look(&stage, &guesser, &wrong(10)).await, &login);
        assert_rate_limited(&look(&stage, &guesser, &login.user_code).await, &login);
        assert_rate_limited(&guesser.enter(&empty, &login.user_code).await, &login);
    }
    look(&stage, &Browser::at("198.51.100.67"), &wrong(11)).await.assert_shows(400, "wrong or no longer valid");

    stage.database.run("UPDATE postiz_auth_wrong_codes SET ends_at = now()").await;
    assert_eq!(look(&stage, &guesser, &login.user_code).await.status, 200);
    assert_eq!(look(&stage, &guesser, &wrong(12)).await.status, 400);
    assert!(counted(&stage).await.contains(&(format!("{GUESSER}/32"), 1)));
}

/// A guesser behind the same address as an honest person does not lock that person out.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_code_of_the_own_network_passes_a_rate_limit_within_a_second_budget() {
    let stage = Stage::new().await;
    let (own, foreign) = (stage.cli().open_at(GUESSER).await, stage.cli().open_at("203.0.113.9").await);
    let browser = Browser::at(GUESSER);
    for n in 0..10 {
        assert_eq!(look(&stage, &browser, &wrong(n)).await.status, 400, "{n}");
    }
    for n in 10..20 {
        look(&stage, &browser, &own.user_code).await.assert_shows(200, &own.user_code);
        assert_rate_limited(&look(&stage, &browser, &wrong(n)).await, &own);
    }
    assert_rate_limited(&look(&stage, &browser, &own.user_code).await, &own);
    assert_rate_limited(&look(&stage, &browser, &foreign.user_code).await, &foreign);
    assert_eq!(counted(&stage).await, [(format!("{GUESSER}/32"), 20)], "no more is counted than the two budgets");
}

/// Each /64 of a provider's /48, and each address of a /24, has wrong codes of its own; together they meet a limit too.
#[tokio::test(flavor = "multi_thread")]
async fn many_addresses_of_one_network_share_a_larger_limit() {
    for address in [(|n| format!("192.0.2.{n}")) as fn(usize) -> String, |n| format!("2001:db8:1:2{n:02x}::1")] {
        let stage = Stage::new().await;
        for n in 1..=42 {
            let status = look(&stage, &Browser::at(&address(n)), &wrong(n)).await.status;
            assert_eq!(status, if n <= 40 { 400 } else { 429 }, "{}", address(n));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_sent_all_at_once_are_no_more_guesses() {
    let stage = Stage::with(2, &[]).await;
    let mut sent = JoinSet::new();
    for n in 0..100 {
        let url = stage.url(&format!("/device/verify?code={}", wrong(n)));
        sent.spawn(async move { Browser::at(GUESSER).visit(&url).await.status });
    }
    let answered = sent.join_all().await;
    let with = |wanted| answered.iter().filter(|status| **status == wanted).count();
    assert_eq!((with(400), with(429)), (10, 90), "{answered:?}");
}

/// Each wrong code is written down.
#[tokio::test(flavor = "multi_thread")]
async fn one_network_enters_a_bounded_number_of_codes_in_a_minute() {
    let stage = Stage::with(1, &[("RATE_LIMIT_CODES", "2")]).await;
    let enter = async |n: usize| {
        let browser = Browser::at(&format!("2001:db8:1:{n:x}::1"));
        if n.is_multiple_of(2) {
            look(&stage, &browser, &wrong(n)).await.status
        } else {
            browser.enter(&stage.url("/device/verify"), &wrong(n)).await.status
        }
    };
    for n in 0..100 {
        enter(n).await;
    }
    let counters = stage.database.count("postiz_auth_wrong_codes").await;
    assert!(counters < 60, "4 times 10 a minute, and its network: {counters}");
    look(&stage, &Browser::at("203.0.113.8"), &wrong(0)).await.assert_shows(400, "wrong or no longer valid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_starts_too_many_logins_is_rate_limited_and_no_other_client_is() {
    let stage = Stage::with(1, &[("RATE_LIMIT_CODES", "3")]).await;
    for _ in 0..3 {
        stage.cli().open().await;
    }
    let answer = stage.cli().send("/device/code", JSON, String::new()).await;
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert_error(answer, 429, "temporarily_unavailable", "the fourth opening").await;
    assert_eq!(stage.database.count("device_requests").await, 3);
    stage.cli().open_at("203.0.113.8").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_of_made_up_codes_are_cut_off_and_a_neighbours_login_is_not() {
    let stage = Stage::new().await;
    let (login, browser, consent) = stage.at_consent().await;
    let cli = Cli::new(&stage.balancer.url());
    let poll = async |n: u32| {
        let body = json!({ "device_code": format!("{n:064x}") }).to_string();
        let answer = cli.send("/device/token", JSON, body).await;
        let closes = answer.headers().get("connection").is_some_and(|value| value == "close");
        (answer.status().as_u16(), answer.headers().contains_key("retry-after"), closes)
    };
    let held = login.held();
    // Fewer at a time than may wait in line.
    let answered: Vec<_> = stream::iter(0..300).map(poll).buffer_unordered(30).collect().await;
    let limited = answered.iter().filter(|answer| **answer == (429, true, true)).count();
    assert!(limited > 50, "{limited}");
    assert!(answered.iter().all(|answer| matches!(answer, (400, false, false) | (429, true, true))), "{answered:?}");
    browser.approve(&consent).await;
    stage.assert_signed_in(&login).await;
    held.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_are_deleted_after_their_window() {
    let database = Database::new().await;
    let store = store(&config(&database.url(), &[]));
    store.database().migrate().await.unwrap();
    let counters = "INSERT INTO postiz_auth_wrong_codes
                    SELECT n::text, 1, now() + interval '1 minute' * (n - 5) FROM generate_series(1, 10) AS n";
    database.run(counters).await;
    assert_eq!((store.delete_counters(3).await, store.delete_counters(100).await), (Ok(3), Ok(2)));
    for which in ["", " WHERE ends_at > now()"] {
        assert_eq!(database.count(&format!("postiz_auth_wrong_codes{which}")).await, 5);
    }
}
