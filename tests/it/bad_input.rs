//! What nobody should send: answered with a 4xx in the caller's format, and forgotten.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{FORM, JSON, Replica, Stage, in_time};

/// Sends bytes as they are.
async fn sent(replica: &Replica, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", replica.port())).await.unwrap();
    // The server may close while we still send.
    let _ = stream.write_all(request).await;
    stream
}

/// All that comes back until the server closes.
async fn answered(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = in_time("the server to close", stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).expect("text")
}

async fn raw(replica: &Replica, request: &[u8]) -> String {
    answered(sent(replica, request).await).await
}

fn statuses(answers: &str) -> Vec<u16> {
    let lines = answers.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 "));
    lines.map(|line| line[..3].parse().unwrap()).collect()
}

fn post(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// After everything that a test sent: the server is well, and nothing in its log is an error.
async fn assert_unharmed(stage: &Stage) {
    stage.assert_works().await;
    let log = stage.log();
    assert!(!log.contains("panicked") && !log.contains(r#""level":"ERROR""#), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_of_a_program_has_its_name_in_json() {
    let stage = Stage::new().await;
    let unknown = format!("device_code={}", "0".repeat(64));
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
    let brackets = [br#"{"device_code":"#.as_slice(), &[b'['; 3000]].concat();
    let large = vec![b'x'; 200_000];
    let (token, code) = ("/device/token", "/device/code");
    for (path, content_type, body, status, error) in [
        (token, JSON, b"".as_slice(), 400, "invalid_request"),
        (token, JSON, b"{", 400, "invalid_request"),
        (token, JSON, b"null", 400, "invalid_request"),
        (token, JSON, b"{\"device_code\":\"\xc3\x28\"}", 400, "invalid_request"),
        (token, JSON, br#"{"device_code":{"a":1}}"#, 400, "invalid_request"),
        (token, JSON, br#"{"device_code":"a","device_code":"b"}"#, 400, "invalid_request"),
        (token, JSON, &brackets, 400, "invalid_request"),
        (token, JSON, &large, 413, "invalid_request"),
        (token, JSON, br#"{"device_code":"\u0000"}"#, 400, "invalid_grant"),
        (token, JSON, br#"{"grant_type":"password","device_code":"x"}"#, 400, "unsupported_grant_type"),
        (token, FORM, format!("{grant}&{unknown}").as_bytes(), 400, "invalid_grant"),
        (token, FORM, format!("{grant}&{unknown}&{unknown}").as_bytes(), 400, "invalid_request"),
        (token, FORM, grant.as_bytes(), 400, "invalid_request"),
        (token, FORM, unknown.as_bytes(), 400, "invalid_request"),
        (token, FORM, format!("grant_type=password&{unknown}").as_bytes(), 400, "unsupported_grant_type"),
        (token, FORM, b"device_code=%zz&grant_type=%ff%fe", 400, "unsupported_grant_type"),
        (token, "application/json; charset=utf-16", b"\xff\xfe{\0}\0", 400, "invalid_request"),
        (token, "multipart/form-data; boundary=x", b"--x--", 415, "invalid_request"),
        (token, "application/x-www-form-urlencoded\r\nContent-Encoding: gzip", b"x", 415, "invalid_request"),
        (code, "application/xml", b"<a/>", 415, "invalid_request"),
        (code, FORM, b"client_id=%00", 400, "invalid_request"),
        (code, JSON, b"\xff\xfe", 400, "invalid_request"),
    ] {
        let answer = raw(&stage.replicas[0], &post(path, content_type, body)).await;
        let what = format!("{path} {content_type} {}: {answer}", String::from_utf8_lossy(&body[..body.len().min(60)]));
        assert_eq!(statuses(&answer), [status], "{what}");
        assert!(answer.contains(&format!(r#"{{"error":"{error}","error_description":""#)), "{what}");
        assert!(answer.to_lowercase().contains("cache-control: no-store"), "{what}");
    }
    assert_unharmed(&stage).await;
}

/// A proxy in front must never see one request where we see two.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_hides_in_another() {
    let stage = Stage::new().await;
    let hidden = "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let head = "POST /device/code HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    for lengths in [
        "Content-Length: 0\r\nContent-Length: 64",
        "Content-Length: 0, 64",
        "Content-Length: 64\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Content-Length: +2",
        "Content-Length: 0x2",
        "Content-Length: 99999999999999999999999",
        "Content-Length : 2",
    ] {
        // What follows is a chunked body's end for who reads chunks, and a request for who does not.
        let request = format!("{head}{lengths}\r\n\r\n0\r\n\r\n{hidden}");
        let answer = raw(&stage.replicas[0], request.as_bytes()).await;
        let found = statuses(&answer);
        assert!(found.len() == 1 && (400..500).contains(&found[0]), "{lengths:?}: {answer}");
        assert!(!answer.contains(r#""status":"ok""#), "{lengths:?}: {answer}");
    }
    assert_unharmed(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_or_too_large_head_is_cut_off() {
    let stage = Stage::new().await;
    let replica = &stage.replicas[0];
    let long = |length| format!("POST /device/token HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(length));
    let body =
        "POST /device/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{";
    let (long, too_long) = (long(9_000), long(300_000));
    let (slow_head, slow_body, long, too_long) = tokio::join!(
        raw(replica, b"GET / HTTP/1.1\r\nHost: x\r\nX-Never"),
        raw(replica, body.as_bytes()),
        raw(replica, long.as_bytes()),
        raw(replica, too_long.as_bytes()),
    );
    assert_eq!(statuses(&slow_head), [408], "{slow_head}");
    for (status, answer) in [(408, &slow_body), (431, &long)] {
        assert_eq!(statuses(answer), [status], "{answer}");
        assert!(answer.contains(r#""error":"invalid_request""#), "{answer}");
    }
    assert!(statuses(&too_long).iter().all(|status| (400..500).contains(status)), "{too_long}");
    assert_unharmed(&stage).await;
}

/// Some monitors and proxies close their half of the connection after the request.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_its_sending_half_is_answered() {
    let stage = Stage::with(1, &[("LONG_POLL_SECONDS", "1")]).await;
    let login = stage.cli().open().await;
    let poll = post("/device/token", JSON, login.poll_body().as_bytes());
    let health = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    for (request, words, times) in [(health, r#"{"status":"ok"}"#, 20), (poll, "authorization_pending", 1)] {
        for _ in 0..times {
            let mut stream = sent(&stage.replicas[0], &request).await;
            stream.shutdown().await.unwrap();
            let answer = answered(stream).await;
            assert!(answer.contains(words), "{answer:?}");
        }
    }
}
