//! One network at full force: what it costs, and that other networks do not notice.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::FutureExt as _;
use postiz_auth_server::app;
use postiz_auth_server::flow::{Intervals, PollOptions};
use postiz_auth_server::grant::BrowserKey;
use reqwest::Response;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::metrics::scrape;
use crate::support::{Cli, Database, Login, Poll, Stage, config, connect, eventually, get, in_time};

const VARIABLES: &[(&str, &str)] = &[("RATE_LIMIT_CODES", "0"), ("METRICS_ADDRESS", "0")];

/// Makes each confirmation slow if its login was opened from these addresses.
async fn slow_confirmations(stage: &Stage, addresses: &str, seconds: f32) {
    stage
        .database
        .run(&format!(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END';
             CREATE TRIGGER slow BEFORE UPDATE ON device_requests
             FOR EACH ROW WHEN (host(NEW.requester) LIKE '{addresses}') EXECUTE FUNCTION slow()"
        ))
        .await;
}

/// Opens a login at each of these addresses, and confirms all of them at once, each again and again if `forever`.
async fn confirmations(stage: &Stage, addresses: impl Iterator<Item = String>, forever: bool) -> JoinSet<Response> {
    let http = crate::support::http().redirect(Policy::none()).build().unwrap();
    let mut requests = Vec::new();
    for address in addresses {
        let login = stage.cli().open_at(&address).await;
        let request = http.post(&login.verification_uri).header("X-Forwarded-For", &address);
        let cookie = format!("postiz-browser={}", BrowserKey::random().to_cookie());
        let request = request.header("Sec-Fetch-Site", "same-origin").header("Cookie", cookie);
        requests.push(request.form(&[("user_code", login.user_code.as_str()), ("action", "continue")]));
    }
    let mut sent = JoinSet::new();
    for request in requests {
        sent.spawn(async move {
            loop {
                let answer = request.try_clone().unwrap().send().await.unwrap();
                if !forever {
                    return answer;
                }
            }
        });
    }
    sent
}

fn is_retry_page(answer: &Response) -> bool {
    answer.status() == 429 && answer.headers().get("retry-after").is_some_and(|seconds| seconds == "3")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_confirmations_of_one_network_delays_no_other_network() {
    let stage = Stage::with(1, VARIABLES).await;
    slow_confirmations(&stage, "198.51.100.%", 0.3).await;
    let flood = confirmations(&stage, (0..150).map(|n| format!("198.51.100.{n}")), true).await;
    let refused = async || scrape(&stage.replicas[0]).await["postiz_auth_limits_met_total{limit=\"statements\"}"];
    eventually("the flood to meet its limit", async || refused().await > 0.0).await;

    for _ in 0..5 {
        let (login, browser, consent) = stage.at_consent().await;
        browser.approve(&consent).await;
        assert_eq!(login.decided().await, Poll::Token(stage.postiz.live_token().unwrap()));
    }
    assert_eq!(get(format!("{}/health", stage.replicas[0].url())).await.text().await.unwrap(), r#"{"status":"ok"}"#);
    drop(flood);
    assert!(!stage.replicas[0].log().contains("database unavailable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_past_its_place_in_line_gets_a_retry_time_and_its_polls_continue() {
    let stage = Stage::with(1, VARIABLES).await;
    slow_confirmations(&stage, "198.51.100.%", 0.02).await;
    let login = stage.cli().open_at("198.51.100.9").await;
    let mut flood = confirmations(&stage, (0..90).map(|_| "198.51.100.9".to_owned()), false).await;
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
    let mut answered = [0, 0];
    while let Some(answer) = flood.join_next().await {
        let answer = answer.unwrap();
        let refused = is_retry_page(&answer);
        assert!(refused || answer.status() == 303, "{}", answer.status());
        answered[usize::from(refused)] += 1;
    }
    assert!(answered[0] >= 64 && answered[1] > 0, "{answered:?}");
}

/// If anything was refused for all, the fastest retry would win.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_from_many_networks_makes_others_wait_and_refuses_nobody() {
    let stage = Stage::with(1, VARIABLES).await;
    slow_confirmations(&stage, "10.%", 0.01).await;
    let flood = confirmations(&stage, (0..100).map(|n| format!("10.9.{n}.1")), true).await;
    for _ in 0..3 {
        let (login, browser, consent) = stage.at_consent().await;
        browser.approve(&consent).await;
        assert_eq!(login.decided().await, Poll::Token(stage.postiz.live_token().unwrap()));
        assert_eq!(stage.replicas[0].health().await, 200);
    }
    drop(flood);
    assert!(!stage.replicas[0].log().contains("database unavailable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn early_form_polls_are_answered_without_a_write() {
    let stage = Stage::new().await;
    let login = stage.cli().open_by_form().await;
    let version = async || {
        let rows = stage.database.rows("SELECT xmin::text FROM device_requests").await;
        rows[0].get::<_, String>(0)
    };
    let unwritten = async || {
        let before = version().await;
        for _ in 0..20 {
            if login.poll_form().await != Poll::error("slow_down") {
                return false;
            }
        }
        version().await == before
    };
    eventually("twenty early polls without a write", unwritten).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_can_not_be_held_gives_its_socket_back() {
    let stage = Stage::with(1, &[("METRICS_ADDRESS", "0"), ("MAX_HELD_POLLS", "40")]).await;
    let replica = &stage.replicas[0];
    let (cli, mut terminals) = (Cli::new(&replica.url()), JoinSet::new());
    let poll = async |login: &Login| {
        let body = json!({ "device_code": login.device_code }).to_string();
        cli.send("/device/token", "application/json", body).await
    };
    // A client may hold an eighth.
    let mut logins = Vec::new();
    for _ in 0..20 {
        logins.push(cli.open().await);
    }
    for login in logins.clone() {
        terminals.spawn(async move { login.poll().await });
    }
    let turned_away = "postiz_auth_limits_met_total{limit=\"network_held_polls\"}";
    eventually("a poll that is not held", async || scrape(replica).await[turned_away] >= 1.0).await;
    let answer = poll(&logins[19]).await;
    assert_eq!(answer.headers()["connection"], "close");
    assert!(answer.text().await.unwrap().contains("authorization_pending"));
    let held = scrape(replica).await["postiz_auth_polls_held"];
    assert!((5.0..20.0).contains(&held), "{held}");
}

/// A poll with as many headers as fit, and a body that is longer than it has to be.
async fn padded_poll(port: u16, address: &str, login: &Login, header_length: usize) -> TcpStream {
    let body = format!("{:12000}", json!({ "device_code": login.device_code }).to_string());
    let mut request = format!(
        "POST /device/token HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n",
        body.len()
    );
    for n in 0..90 {
        write!(request, "X-{n:02}: {}\r\n", "x".repeat(header_length)).unwrap();
    }
    write!(request, "\r\n{body}").unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// A client decides when actix goes on with its request.
#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_does_not_go_on_gives_its_database_connection_back() {
    let database = Database::new().await;
    let config = config(&database.url_for_replicas(), &[("DATABASE_POOL_SIZE", "1")]);
    let flow = app::flow(&config).unwrap();
    flow.store().database().migrate().await.unwrap();
    let approve = "UPDATE device_requests SET status = 'approved', sealed_token = '\\x00', settled_at = now()";
    let intervals = Intervals { held: Duration::from_secs(5), otherwise: Duration::from_secs(5) };
    for (paced, before) in [(true, "SELECT"), (false, approve)] {
        let opened = flow.open(None, None, intervals).await.unwrap();
        database.run(before).await;
        let other = connect(&database.url()).await;
        other.batch_execute("BEGIN; SELECT FROM device_requests FOR UPDATE").await.unwrap();
        let options = PollOptions { hold: Duration::ZERO, paced, client: None, client_id: None };
        let mut poll = Box::pin(flow.poll(opened.device_code, options));
        let waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("its statement waits for the lock", || {
            assert!((&mut poll).now_or_never().is_none(), "it was answered");
            async { !database.rows(waits).await.is_empty() }
        })
        .await;
        other.batch_execute("COMMIT").await.unwrap();
        eventually("the connection is free", async || flow.store().database().load().idle == 1).await;
    }
}

/// A connection that asks for some pages, reads none, and then confirms this login.
async fn unread(port: u16, pages: usize, address: &str, login: &Login) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    let mut stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await.unwrap();
    let requests = "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n".repeat(pages);
    let form = format!("user_code={}&action=continue", login.user_code);
    let confirmation = format!(
        "POST /device/verify HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {address}\r\nSec-Fetch-Site: same-origin\r\n\
         Cookie: postiz-browser={}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        BrowserKey::random().to_cookie(),
        form.len()
    );
    stream.write_all((requests + &confirmation).as_bytes()).await.unwrap();
    stream
}

/// actix goes on with no request whose answer would wait behind others that are not read. How many pages that takes depends on
/// the kernel's buffers.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_read_no_pages_keep_no_database_connection() {
    let stage = Stage::with(1, &[("RATE_LIMIT_CODES", "0"), ("DATABASE_POOL_SIZE", "2")]).await;
    let port = stage.replicas[0].port();
    let other = connect(&stage.database.url()).await;
    let mut logins = Vec::new();
    for n in 0..16 {
        logins.push((n, stage.cli().open_at(&format!("10.{n}.0.1")).await));
    }
    other.batch_execute("BEGIN; SELECT FROM device_requests FOR UPDATE").await.unwrap();
    let mut streams = Vec::new();
    for (n, login) in &logins {
        streams.push(unread(port, *n, &format!("10.{n}.0.1"), login).await);
    }
    let waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("all connections wait", async || stage.database.rows(waits).await.len() == 2).await;
    for stream in &mut streams {
        stream.shutdown().await.unwrap();
    }
    other.batch_execute("COMMIT").await.unwrap();
    let (login, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    assert!(matches!(login.decided().await, Poll::Token(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_with_a_large_head_is_refused() {
    let stage = Stage::new().await;
    let login = stage.cli().open().await;
    let mut poll = padded_poll(stage.replicas[0].port(), "192.0.2.1", &login, 100).await;
    let mut answer = String::new();
    in_time("the server to close", poll.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 431 ") && head.contains("no-store"), "{answer}");
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["error"], "invalid_request");
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"), "the login goes on");
}
