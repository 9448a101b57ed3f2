//! The memory that a connection with a held poll takes: with a small head, after many requests, with a head of 8 KiB, and
//! with requests that wait behind the poll.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::figures::Scale;
use crate::login::{self, Login};
use crate::machine;
use crate::stage::{MANY_HELD, Stage, UNLIMITED};
use crate::table::{Row, Sample, Target};
use crate::wire::{self, Connection};

/// Until the server has read everything.
const READ: Duration = Duration::from_secs(2);
/// Length of an earlier request: as of a poll through proxies that add headers.
const EARLIER_LENGTH: usize = 1_000;

#[derive(Clone, Copy, Default)]
struct Kind {
    /// Requests before the poll, and behind it.
    earlier: usize,
    behind: usize,
    /// Length of the poll's head.
    head: usize,
}

/// By this server alone: the Node server holds no polls.
pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Row> {
    let (mut rows, none) = (Vec::new(), Kind::default());
    for (figure, kind, target) in [
        ("memory of a held poll", none, Target::AtMost(18.0)),
        // As many polls as in 15 minutes. They use all pages of a connection's buffers.
        ("the same, after 45 requests over its connection", Kind { earlier: 45, ..none }, Target::AtMost(28.0)),
        ("the same, with a head of 8 KiB", Kind { head: 8_000, ..none }, Target::AtMost(30.0)),
        ("the same, with 2,500 requests behind it", Kind { behind: 2_500, ..none }, Target::AtMost(3_000.0)),
    ] {
        let each = kilobytes(stage, scale, kind).await;
        rows.push(Row::new(figure, " kB", [Sample::of(each)], target));
    }
    rows
}

async fn kilobytes(stage: &Stage, scale: &Scale, kind: Kind) -> f64 {
    let database = stage.database().await;
    let server = stage.ours(&database, &[UNLIMITED, MANY_HELD]).await;
    // Requests behind a poll are no small thing.
    let count = if kind.behind > 0 { scale.held / 10 } else { scale.held };
    let mut logins = login::open_many((Ipv4Addr::LOCALHOST, server.port), count + 1).await;
    // The first one brings the server's own code and tables into memory.
    let first = connect(server.port, kind).await;
    let mut held = vec![(first, logins.remove(0))];
    poll(&mut held, kind).await;
    let before = machine::resident(server.pid()).0;
    for login in logins {
        held.push((connect(server.port, kind).await, login));
    }
    poll(&mut held[1..], kind).await;
    (machine::resident(server.pid()).0 - before) * 1024.0 / count as f64
}

async fn connect(port: u16, kind: Kind) -> Connection {
    let mut connection = Connection::to(port).await.unwrap();
    let earlier = padded(&wire::post_json("/device/token", "{}"), EARLIER_LENGTH);
    for _ in 0..kind.earlier {
        assert_eq!(connection.status_of(&earlier).await.unwrap(), 400);
    }
    connection
}

/// Returns when the server holds the polls.
async fn poll(held: &mut [(Connection, Login)], kind: Kind) {
    for (connection, login) in held {
        connection.send(&padded(&login.poll, kind.head)).await.unwrap();
        let behind = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n".repeat(kind.behind);
        // A server that reads no more than it needs leaves some of them here.
        let _ = timeout(READ, connection.send(behind.as_bytes())).await;
    }
    sleep(READ).await;
}

/// The same request with headers that make it as long.
fn padded(request: &[u8], length: usize) -> Vec<u8> {
    const EMPTY: usize = "X-Padding: \r\n".len();
    let line = request.windows(2).position(|bytes| bytes == b"\r\n").unwrap() + 2;
    let (line, rest) = request.split_at(line);
    let mut padding = String::new();
    while request.len() + padding.len() < length {
        let missing = length - request.len() - padding.len();
        write!(padding, "X-Padding: {}\r\n", "x".repeat(missing.clamp(EMPTY, 200) - EMPTY)).unwrap();
    }
    [line, padding.as_bytes(), rest].concat()
}
