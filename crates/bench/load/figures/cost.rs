//! The cost of one login: statements and bytes at PostgreSQL, and bytes over HTTP.

use crate::figures::logins;
use crate::load::open_logins;
use crate::proxy::Proxy;
use crate::scale::Scale;
use crate::stage::{Database, Stage};
use crate::stats::number;
use crate::table::{Goal, Line};
use crate::wire::Connection;

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let database = stage.database().await;
    let proxy = Proxy::before(stage.postgres.port()).await;
    let through = database.url.replace(&format!(":{}/", stage.postgres.port()), &format!(":{}/", proxy.port));
    let server = stage.replica(&through, &[]).await;
    let mut terminal = Connection::to(server.port).await.unwrap();
    let mut browser = Connection::to(server.port).await.unwrap();
    let mut postiz = Connection::to(stage.postiz.port).await.unwrap();
    // Opens the connections and fills the caches before the measurement.
    logins::one(&mut terminal, &mut browser, &mut postiz).await.unwrap();

    database.run("SELECT pg_stat_statements_reset()").await;
    let log_before = written(&database).await;
    let wire_before = proxy.bytes();
    let (terminal_before, browser_before) = (terminal.bytes, browser.bytes);
    for _ in 0..scale.logins {
        logins::one(&mut terminal, &mut browser, &mut postiz).await.unwrap();
    }
    let each = |total: f64| total / scale.logins as f64;
    let log = each(written(&database).await - log_before);
    let wire = proxy.bytes();
    let by_kind = statements(&database, scale.logins).await;
    // One query of the decision feed is for all held polls.
    let own = by_kind.iter().filter(|(kind, _)| kind != "decision feed");
    let total: f64 = own.map(|(_, calls)| calls).sum();
    let listed: Vec<String> = by_kind.iter().map(|(kind, calls)| format!("{kind} {}", number(*calls))).collect();
    let between = |before: (u64, u64), after: (u64, u64)| each((after.0 - before.0 + after.1 - before.1) as f64);

    database.run("TRUNCATE device_requests").await;
    let rows = 10_000;
    open_logins(server.port, rows).await;
    let row = database.number("SELECT pg_total_relation_size('device_requests')").await / rows as f64;
    vec![
        Line::new("statements on PostgreSQL for a login", number(total))
            .against(listed.join(", "))
            .goal(Goal::at_most(total, 8.0, "")),
        Line::new(
            "bytes for a login",
            format!(
                "terminal {}, browser {}, PostgreSQL {}",
                number(between(terminal_before, terminal.bytes)),
                number(between(browser_before, browser.bytes)),
                number(between(wire_before, wire))
            ),
        )
        .against(format!("write-ahead log {}; a pending row with its indexes {}", number(log), number(row))),
    ]
}

/// A part that only the statement of the decision feed has.
const FEED: &str = "clock.read_only";

/// Bytes of write-ahead log since the cluster was created.
async fn written(database: &Database) -> f64 {
    database.number("SELECT pg_current_wal_lsn() - '0/0'").await
}

/// Executions of each kind of statement for one login, without cleanup.
async fn statements(database: &Database, logins: usize) -> Vec<(String, f64)> {
    let sql = "SELECT query, calls::float8 FROM pg_stat_statements
               WHERE query LIKE '%device_requests%' AND query NOT LIKE '%FOR UPDATE SKIP LOCKED%' ORDER BY calls DESC";
    let rows = database.client.query_typed(sql, &[]).await.unwrap();
    rows.iter().map(|row| (kind(row.get(0)).to_owned(), row.get::<_, f64>(1) / logins as f64)).collect()
}

/// The statement's name in the store, by a part that no other statement has.
fn kind(sql: &str) -> &'static str {
    const KINDS: [(&str, &str); 10] = [
        ("INSERT INTO device_requests", "open"),
        (FEED, "decision feed"),
        ("AS is_last_code", "claim"),
        ("sealed_token = $", "approve"),
        ("RETURNING sealed_token", "deliver"),
        ("least(device_requests.browsers", "begin"),
        ("AS several_browsers", "page"),
        ("OFFSET", "look-up"),
        ("SET polled_at = now()", "note of a poll"),
        ("'signed_in'", "terminal"),
    ];
    let kind = KINDS.iter().find(|(part, _)| sql.contains(part));
    kind.unwrap_or_else(|| panic!("a statement of the store is not in the list: {sql}")).1
}
