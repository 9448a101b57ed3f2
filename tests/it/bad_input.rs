//! What nobody should send: answered with a 4xx in the caller's format, and forgotten.

use std::fmt::Write as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Poll, Replica, Stage, in_time};

/// Sends bytes as they are, and returns all that comes back until the server closes.
async fn raw(replica: &Replica, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", replica.port())).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    in_time("the server to close", stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).expect("text")
}

fn statuses(answers: &str) -> Vec<u16> {
    let lines = answers.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 "));
    lines.map(|line| line[..3].parse().unwrap()).collect()
}

fn post(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let own_form = if path == "/device/verify" { "Sec-Fetch-Site: same-origin\r\n" } else { "" };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{own_form}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn get(target: &[u8]) -> Vec<u8> {
    [b"GET ", target, b" HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nConnection: close\r\n\r\n"].concat()
}

/// After everything that a test sent: the server is well, and nothing in its log is an error.
async fn assert_unharmed(stage: &Stage) {
    let (login, browser, consent) = stage.at_consent().await;
    browser.approve(&consent).await;
    assert_eq!(Some(login.decided().await), stage.postiz.live_token().map(Poll::Token));
    let log = stage.replicas[0].log();
    assert!(!log.contains("panicked") && !log.contains(r#""level":"ERROR""#), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_of_a_program_gets_json() {
    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/json";
    let stage = Stage::new().await;
    let brackets = [br#"{"device_code":"#.as_slice(), &[b'['; 3000]].concat();
    let mut many = String::from("{");
    for n in 0..500 {
        write!(many, "\"field{n}\":{n},").unwrap();
    }
    let large = vec![b'x'; 200_000];
    let cases: &[(&str, &[u8], u16)] = &[
        (JSON, b"\xff\xfe", 400),
        (JSON, b"{\"device_code\":\"\xc3\x28\"}", 400),
        (JSON, b"{\"device_code\":\"\0\"}", 400),
        (JSON, b"{\"device_code\":{\"a\":1}}", 400),
        (JSON, b"{\"device_code\":[\"a\"]}", 400),
        (JSON, b"{\"device_code\":1e999}", 400),
        (JSON, b"{\"device_code\":true}", 400),
        (JSON, b"\"text\"", 400),
        (JSON, b"null", 400),
        (JSON, &brackets, 400),
        (JSON, many.as_bytes(), 400),
        (JSON, &large, 413),
        (JSON, "{\"device_code\":\"🦀\"}".as_bytes(), 400),
        (FORM, b"device_code=%", 400),
        (FORM, b"device_code=%zz&grant_type=%ff%fe", 400),
        (FORM, b"device_code=%00&grant_type=", 400),
        (FORM, b"&&&===&", 400),
        (FORM, b"\xff\xfe=\xfd", 400),
        (FORM, &large, 413),
        ("application/xml", b"<a/>", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("application/json; charset=utf-16", b"\xff\xfe{\0}\0", 400),
        ("\"", b"{}", 415),
    ];
    for path in ["/device/token", "/device/code"] {
        for (content_type, body, status) in cases {
            let answer = raw(&stage.replicas[0], &post(path, content_type, body)).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            // Starting a login needs none of these fields, so an unknown or odd value of one is no mistake there.
            if path == "/device/code" && *status == 400 && statuses(&answer) == [200] {
                continue;
            }
            assert_eq!(statuses(&answer), [*status], "{path} {content_type} {shown}: {answer}");
            assert!(answer.contains(r#"{"error":""#), "{path} {content_type} {shown}: {answer}");
        }
    }
    assert_unharmed(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_sends_nonsense_is_shown_a_page() {
    let stage = Stage::new().await;
    let long = [b"/device/verify?code=".as_slice(), &[b'B'; 5000]].concat();
    let targets: &[(&[u8], u16)] = &[
        (b"/device/verify?code=%", 400),
        (b"/device/verify?code=%ff%fe", 400),
        (b"/device/verify?code=%00", 400),
        (b"/device/verify?code=%F0%9F%A6%80", 400),
        (b"/device/verify?code=%3Cscript%3E", 400),
        (&long, 400),
        (b"/device/done/%ff?reference=%ff", 404),
        (b"/%ff%fe", 404),
        (b"/device/../device/token/%2e%2e", 404),
        (b"/assets/..%2f..%2fetc%2fpasswd", 404),
    ];
    for (target, status) in targets {
        let answer = raw(&stage.replicas[0], &get(target)).await;
        let shown = String::from_utf8_lossy(&target[..target.len().min(60)]).into_owned();
        assert_eq!(statuses(&answer), [*status], "{shown}: {answer}");
        assert!(answer.contains("<!doctype html>"), "{shown}: {answer}");
        assert!(!answer.contains("<script>"), "{shown}: {answer}");
    }
    for target in [b"/device/callback?state=%ff&code=%00".as_slice(), b"/device/callback?state&code&error"] {
        let answer = raw(&stage.replicas[0], &get(target)).await;
        assert_eq!(statuses(&answer), [303], "{answer}");
        assert!(answer.contains("/device/done/link-expired\r\n"), "{answer}");
    }
    for body in [b"user_code=%ff%fe&action=continue".as_slice(), b"user_code=a&user_code=b", b"\0", b""] {
        let answer = raw(&stage.replicas[0], &post("/device/verify", "application/x-www-form-urlencoded", body)).await;
        assert_eq!(statuses(&answer), [400], "{answer}");
        assert!(answer.contains("<!doctype html>"), "{answer}");
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
        format!("Content-Length: 0\r\nContent-Length: {}\r\n", hidden.len()),
        format!("Content-Length: 0, {}\r\n", hidden.len()),
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", hidden.len()),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Content-Length: +2\r\n".to_owned(),
        "Content-Length: -1\r\n".to_owned(),
        "Content-Length: 0x2\r\n".to_owned(),
        "Content-Length: 99999999999999999999999\r\n".to_owned(),
        "Content-Length : 2\r\n".to_owned(),
    ] {
        // What follows is a chunked body's end for who reads chunks, and a request for who does not.
        let request = format!("{head}{lengths}\r\n0\r\n\r\n{hidden}");
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
    let large = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(300_000));
    let (slow_head, slow_body, large_head) = tokio::join!(
        raw(replica, b"GET / HTTP/1.1\r\nHost: x\r\nX-Never"),
        raw(
            replica,
            b"POST /device/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        ),
        async {
            // The server may close while we still send.
            let mut stream = TcpStream::connect(("127.0.0.1", replica.port())).await.unwrap();
            let _ = stream.write_all(large.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = in_time("the server to close", stream.read_to_end(&mut answer)).await;
            String::from_utf8_lossy(&answer).into_owned()
        }
    );
    assert_eq!(statuses(&slow_head), [408], "{slow_head}");
    assert_eq!(statuses(&slow_body), [408], "{slow_body}");
    assert!(slow_body.contains(r#""error":"invalid_request""#), "{slow_body}");
    assert!(statuses(&large_head).iter().all(|status| (400..500).contains(status)), "{large_head}");
    assert_unharmed(&stage).await;
}
