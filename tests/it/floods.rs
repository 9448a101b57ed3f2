//! One network at full force: what it costs, and that other networks do not notice.

use std::net::Ipv4Addr;

use futures_util::future::join_all;
use postiz_auth_server::grant::BrowserKey;
use reqwest::{RequestBuilder, Response};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::metrics::scrape;
use crate::support::{FORM, Login, Stage, connect, eventually, http};

const VARIABLES: &[(&str, &str)] = &[("RATE_LIMIT_CODES", "0"), ("METRICS_ADDRESS", "0")];

/// A replica where a login's confirmation takes this long if it was opened at one of these addresses.
async fn with_slow_confirmations(addresses: &str, seconds: f32) -> Stage {
    let stage = Stage::with(1, VARIABLES).await;
    stage
        .database
        .run(&format!(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END';
             CREATE TRIGGER slow BEFORE UPDATE ON device_requests
             FOR EACH ROW WHEN (host(NEW.requester) LIKE '{addresses}') EXECUTE FUNCTION slow()"
        ))
        .await;
    stage
}

/// Opens a login at each of these addresses, to be confirmed.
async fn confirmations(stage: &Stage, addresses: impl Iterator<Item = String>) -> Vec<RequestBuilder> {
    let http = http().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut requests = Vec::new();
    for address in addresses {
        let login = stage.cli().open_at(&address).await;
        let request = http.post(&login.verification_uri).header("X-Forwarded-For", &address);
        let cookie = format!("postiz-browser={}", BrowserKey::random().to_cookie());
        let request = request.header("Sec-Fetch-Site", "same-origin").header("Cookie", cookie);
        requests.push(request.form(&[("user_code", login.user_code.as_str()), ("action", "continue")]));
    }
    requests
}

/// Sends each of them again and again, until this is dropped.
fn flood(requests: Vec<RequestBuilder>) -> JoinSet<()> {
    let again = async |request: RequestBuilder| {
        loop {
            request.try_clone().unwrap().send().await.unwrap();
        }
    };
    requests.into_iter().map(again).collect()
}

/// Three logins of another network succeed beside a flood.
async fn assert_unnoticed(stage: &Stage) {
    for _ in 0..3 {
        stage.assert_works().await;
        assert_eq!(stage.replicas[0].health().await, 200);
    }
    assert!(!stage.log().contains("database unavailable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_confirmations_of_one_network_delays_no_other_network() {
    let stage = with_slow_confirmations("198.51.100.%", 0.3).await;
    let _flood = flood(confirmations(&stage, (0..150).map(|n| format!("198.51.100.{n}"))).await);
    let refused = async || scrape(&stage.replicas[0]).await["postiz_auth_limits_met_total{limit=\"statements\"}"];
    eventually("the flood to meet its limit", async || refused().await > 0.0).await;
    assert_unnoticed(&stage).await;
}

/// If anything was refused for all, the fastest retry would win.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_from_many_networks_makes_others_wait_and_refuses_nobody() {
    let stage = with_slow_confirmations("10.%", 0.01).await;
    let _flood = flood(confirmations(&stage, (0..100).map(|n| format!("10.9.{n}.1"))).await);
    assert_unnoticed(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_past_its_place_in_line_gets_a_retry_time_and_its_polls_continue() {
    let stage = with_slow_confirmations("198.51.100.%", 0.02).await;
    let login = stage.cli().open_at("198.51.100.9").await;
    let requests = confirmations(&stage, (0..90).map(|_| "198.51.100.9".to_owned())).await;
    let answers = tokio::spawn(join_all(requests.into_iter().map(RequestBuilder::send)));
    login.assert_pending().await;
    let is_retry = |answer: &Response| {
        answer.status() == 429 && answer.headers().get("retry-after").is_some_and(|seconds| seconds == "3")
    };
    let answers = answers.await.unwrap().into_iter().map(Result::unwrap);
    let (refused, confirmed): (Vec<_>, Vec<_>) = answers.partition(is_retry);
    assert!(confirmed.iter().all(|answer| answer.status() == 303), "{confirmed:?}");
    assert!(confirmed.len() >= 64 && !refused.is_empty(), "{} {}", confirmed.len(), refused.len());
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
         Cookie: postiz-browser={}\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n\r\n{form}",
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
    let other = connect(&stage.database.url()).await;
    let mut logins = Vec::new();
    for n in 0..16 {
        let address = format!("10.{n}.0.1");
        logins.push((n, stage.cli().open_at(&address).await, address));
    }
    other.batch_execute("BEGIN; SELECT FROM device_requests FOR UPDATE").await.unwrap();
    let mut streams = Vec::new();
    for (pages, login, address) in &logins {
        streams.push(unread(stage.replicas[0].port(), *pages, address, login).await);
    }
    let waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("all connections wait", async || stage.database.rows(waits).await.len() == 2).await;
    for stream in &mut streams {
        stream.shutdown().await.unwrap();
    }
    other.batch_execute("COMMIT").await.unwrap();
    stage.assert_works().await;
}
