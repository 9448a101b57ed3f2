//! Guessing and flooding: the client is rate-limited, learns nothing, and delays no other client.

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Browser, Cli, Database, Login, Page, Poll, Stage, config, store};

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

fn assert_rate_limited(page: &Page, login: &Login) {
    assert_eq!(page.status, 429, "{}", page.text);
    let wait: u64 = page.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
    assert!(page.says("Too many tries from your network") && page.says("Come back in"), "{}", page.text);
    assert!(!page.text.contains(&login.user_code) && !page.text.contains("Reference"), "{}", page.text);
}

/// Enters wrong codes from `browser` until its client is rate-limited.
async fn use_up_the_limit(stage: &Stage, browser: &Browser) {
    for n in 0..10 {
        let page = look(stage, browser, &wrong(n)).await;
        assert!(page.status == 400 && page.says("wrong or no longer valid"), "{n}: {}", page.text);
    }
}

async fn counted(stage: &Stage, network: &str) -> i32 {
    stage.database.rows(&format!("SELECT wrong FROM postiz_auth_wrong_codes WHERE client = '{network}'")).await[0]
        .get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn past_ten_wrong_codes_a_client_is_rate_limited_at_every_replica_even_for_right_codes() {
    let stage = Stage::with(2, &[]).await;
    let login = stage.cli().open_at("203.0.113.9").await;
    let guesser = Browser::at(GUESSER);
    for n in 0..10 {
        // By a link, by typing, with a right one in between: only the wrong ones count, and all of them.
        assert_eq!(look(&stage, &guesser, &login.user_code).await.status, 200);
        let (by_link, code) = (n % 2 == 0, wrong(n));
        let page = if by_link { look(&stage, &guesser, &code).await } else { enter(&stage, &guesser, &code).await };
        assert!(page.status == 400 && page.says("wrong or no longer valid"), "{n}: {}", page.text);
    }
    for _ in 0..4 {
        assert_rate_limited(&look(&stage, &guesser, &wrong(10)).await, &login);
        assert_rate_limited(&look(&stage, &guesser, &login.user_code).await, &login);
        assert_rate_limited(&enter(&stage, &guesser, &login.user_code).await, &login);
    }
    assert_eq!(stage.database.count("device_requests WHERE status = 'pending'").await, 1);

    let neighbour = Browser::at("198.51.100.67");
    assert!(look(&stage, &neighbour, &wrong(11)).await.says("wrong or no longer valid"));

    stage.database.run("UPDATE postiz_auth_wrong_codes SET ends_at = now()").await;
    assert_eq!(look(&stage, &guesser, &login.user_code).await.status, 200);
    assert_eq!(look(&stage, &guesser, &wrong(12)).await.status, 400);
    assert_eq!(counted(&stage, &format!("{GUESSER}/32")).await, 1);
}

/// A guesser behind the same address as an honest person does not lock that person out.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_code_of_the_own_network_passes_a_rate_limit_within_a_second_budget() {
    let stage = Stage::new().await;
    let (own, foreign) = (stage.cli().open_at(GUESSER).await, stage.cli().open_at("203.0.113.9").await);
    let browser = Browser::at(GUESSER);
    use_up_the_limit(&stage, &browser).await;
    for n in 0..10 {
        assert!(look(&stage, &browser, &own.user_code).await.says(&own.user_code), "{n}");
        assert_rate_limited(&look(&stage, &browser, &wrong(10 + n)).await, &own);
    }
    assert_rate_limited(&look(&stage, &browser, &own.user_code).await, &own);
    assert_rate_limited(&look(&stage, &browser, &foreign.user_code).await, &foreign);
    assert_eq!(counted(&stage, &format!("{GUESSER}/32")).await, 20, "no more is counted than the two budgets");
}

/// Each /64 of a provider's /48, and each address of a /24, has wrong codes of its own; together they meet a limit too.
#[tokio::test(flavor = "multi_thread")]
async fn many_addresses_of_one_network_share_a_larger_limit() {
    for (limit, address) in
        [(40, (|n| format!("192.0.2.{n}")) as fn(u32) -> String), (40, |n| format!("2001:db8:1:2{n:02x}::1"))]
    {
        let stage = Stage::new().await;
        let guess = async |n: u32| look(&stage, &Browser::at(&address(n)), &wrong(n as usize % 90)).await.status;
        let mut answered = Vec::new();
        for n in 1..=limit + 2 {
            answered.push(guess(n).await);
        }
        let (before, after) = answered.split_at(limit as usize);
        assert!(before.iter().all(|status| *status == 400), "{before:?}");
        assert!(after.iter().all(|status| *status == 429), "{after:?}");
    }
}

/// What a hostile page can make its visitor's browser do counts nothing: not an image, a frame, a script or a prefetch, and
/// not a popup or a redirect.
#[tokio::test(flavor = "multi_thread")]
async fn no_page_of_another_site_uses_up_its_visitors_wrong_codes() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    let http = crate::support::http().build().unwrap();
    for (n, (site, mode, dest, purpose, status)) in [
        ("cross-site", "no-cors", "image", None, 403),
        ("cross-site", "navigate", "iframe", None, 403),
        ("cross-site", "navigate", "object", None, 403),
        ("cross-site", "no-cors", "script", None, 403),
        ("same-site", "cors", "empty", None, 403),
        ("none", "navigate", "document", Some("prefetch"), 403),
        ("none", "navigate", "document", Some("prefetch;prerender"), 403),
        ("cross-site", "navigate", "document", None, 200),
        ("same-site", "navigate", "document", None, 200),
    ]
    .into_iter()
    .cycle()
    .take(45)
    .enumerate()
    {
        let url = format!("{}?code={}", login.verification_uri, wrong(n));
        for request in [http.get(&url), http.head(&url)] {
            let request = request.header("Sec-Fetch-Site", site).header("Sec-Fetch-Mode", mode);
            let request = request.header("Sec-Fetch-Dest", dest);
            let request = purpose.into_iter().fold(request, |request, value| request.header("Sec-Purpose", value));
            assert_eq!(request.send().await.unwrap().status(), status, "{site} {mode} {dest} {purpose:?}");
        }
    }
    assert_eq!(stage.database.count("postiz_auth_wrong_codes").await, 0);
    assert!(look(&stage, &Browser::new(), &login.user_code).await.says(&login.user_code));
}

/// Under plain http, another site's name may lead here, and its pages may read the answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_behind_a_rebound_name_learns_of_no_login_and_counts_no_code() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    let http = crate::support::http().build().unwrap();
    for code in [login.user_code.as_str(), &wrong(1)] {
        let url = format!("{}?code={code}", login.verification_uri);
        let page = http.get(url).header("Host", "evil.example:3000").send().await.unwrap();
        assert_eq!(page.status(), 200);
        let page = page.text().await.unwrap();
        assert!(page.contains(r#"class="code-field""#) && !page.contains(code), "{page}");
    }
    assert_eq!(stage.database.count("postiz_auth_wrong_codes").await, 0);
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
    assert_eq!(stage.database.count("postiz_auth_wrong_codes").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_starts_too_many_logins_is_rate_limited_and_no_other_client_is() {
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
    let cli = Cli::new(&stage.balancer.url());
    let poll = async |n: u32| {
        let body = json!({ "device_code": format!("{n:064x}") }).to_string();
        let answer = cli.send("/device/token", "application/json", body).await;
        let closes = answer.headers().get("connection").is_some_and(|value| value == "close");
        let (status, waits) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], "invalid_grant");
        (status, waits, closes)
    };
    let decided = tokio::spawn({
        let login = login.clone();
        async move { login.decided().await }
    });
    // Fewer at a time than may wait in line.
    let answered: Vec<_> = stream::iter(0..300).map(poll).buffer_unordered(30).collect().await;
    let held_off = answered.iter().filter(|answer| **answer == (429, true, true)).count();
    assert!(held_off > 50, "{held_off}");
    assert!(answered.iter().all(|answer| matches!(answer, (400, false, false) | (429, true, true))), "{answered:?}");
    browser.approve(&consent).await;
    assert_eq!(Some(decided.await.unwrap()), stage.postiz.live_token().map(Poll::Token));
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_are_deleted_after_their_window() {
    let database = Database::new().await;
    let store = store(&config(&database.url(), &[]));
    store.database().migrate().await.unwrap();
    database
        .run(
            "INSERT INTO postiz_auth_wrong_codes
             SELECT n::text, 1, now() + interval '1 minute' * (n - 5) FROM generate_series(1, 10) AS n",
        )
        .await;
    assert_eq!(store.delete_counters(3).await, Ok(3));
    assert_eq!(store.delete_counters(100).await, Ok(2));
    assert_eq!(database.count("postiz_auth_wrong_codes WHERE ends_at > now()").await, 5);
    assert_eq!(database.count("postiz_auth_wrong_codes").await, 5);
}
