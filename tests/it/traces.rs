//! Traces reach an OpenTelemetry collector, and hold no secret.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::support::{CLIENT_SECRET, Poll, Stage};

/// Takes OTLP over HTTP, and keeps the bodies.
struct Collector {
    url: String,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, Arc::clone(&kept)));
            }
        });
        Self { url, received }
    }

    fn has(&self, needle: &[u8]) -> bool {
        self.received.lock().unwrap().windows(needle.len()).any(|window| window == needle)
    }
}

async fn take(mut stream: TcpStream, kept: Arc<Mutex<Vec<u8>>>) {
    let mut request = Vec::new();
    loop {
        let mut part = [0; 16 * 1024];
        match stream.read(&mut part).await {
            Ok(read) if read > 0 => request.extend_from_slice(&part[..read]),
            _ => return,
        }
        let Some(end) = request.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
        assert!(head.starts_with("post /v1/traces") && head.contains("application/x-protobuf"), "{head}");
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse::<usize>().unwrap();
        if request.len() < end + 4 + length {
            continue;
        }
        kept.lock().unwrap().extend(request.drain(..end + 4 + length));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_a_login_reach_the_collector_and_hold_no_secret() {
    let collector = Collector::start().await;
    let mut stage = Stage::with(1, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)]).await;
    let (login, browser, consent) = stage.at_consent().await;
    let callback = Url::parse(&browser.approve_only(&consent).await).unwrap();
    browser.visit(callback.as_str()).await;
    let Poll::Token(token) = login.decided().await else { panic!("no token") };
    // A request that is part of its caller's trace.
    let (trace, caller) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let request = crate::support::http().build().unwrap().get(format!("{}/health", stage.balancer.url()));
    request.header("traceparent", format!("00-{trace}-{caller}-01")).send().await.unwrap();
    // A stop sends what has not been sent.
    let replica = stage.replicas.pop().unwrap();
    replica.signal("TERM");
    assert_eq!(replica.ended().await.code(), Some(0));

    for name in [
        "POST /device/code",
        "POST /device/verify",
        "GET /device/callback",
        "POST /device/token",
        "statement",
        "exchange",
        "grant approved",
        "postiz-auth-server",
    ] {
        assert!(collector.has(name.as_bytes()), "{name} has not arrived");
    }
    assert!(collector.has(&bytes(trace)) && collector.has(&bytes(caller)), "the caller's trace goes on");
    let query = |name: &str| callback.query_pairs().find(|(n, _)| n == name).unwrap().1.into_owned();
    for (what, secret) in [
        ("token", token.as_str()),
        ("device code", &login.device_code),
        ("user code", &login.user_code),
        ("state", &query("state")),
        ("authorization code", &query("code")),
        ("client secret", CLIENT_SECRET),
        ("database password", crate::support::cluster().password()),
    ] {
        assert!(!collector.has(secret.as_bytes()), "the {what} is in a trace");
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_collector_delays_nothing() {
    let unavailable = format!("http://localhost:{}", crate::support::free_port());
    let mut stage = Stage::with(1, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &unavailable)]).await;
    let (login, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
    let replica = stage.replicas.pop().unwrap();
    replica.signal("TERM");
    assert_eq!(replica.ended().await.code(), Some(0));
}
