//! The cost of one login: statements and bytes at PostgreSQL, and bytes over HTTP.

use crate::figures::logins;
use crate::load::open_logins;
use crate::proxy::Proxy;
use crate::scale::Scale;
use crate::stage::{Database, Stage};
use crate::statements::{self, DECISION_FEED, Executed};
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

    statements::reset(&database).await;
    let log_before = written(&database).await;
    let wire_before = proxy.bytes();
    let (terminal_before, browser_before) = (terminal.bytes, browser.bytes);
    for _ in 0..scale.logins {
        logins::one(&mut terminal, &mut browser, &mut postiz).await.unwrap();
    }
    let each = |total: f64| total / scale.logins as f64;
    let log = each(written(&database).await - log_before);
    let wire = proxy.bytes();
    let executed = Executed::read(&database).await;
    let by_kind: Vec<(&str, f64)> = executed.without_cleanup().map(|(name, calls)| (name, each(calls))).collect();
    // One query of the decision feed is for all held polls.
    let own = by_kind.iter().filter(|(name, _)| *name != DECISION_FEED);
    let total: f64 = own.map(|(_, calls)| calls).sum();
    let listed: Vec<String> = by_kind.iter().map(|(name, calls)| format!("{name} {}", number(*calls))).collect();
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

/// Bytes of write-ahead log since the cluster was created.
async fn written(database: &Database) -> f64 {
    database.number("SELECT pg_current_wal_lsn() - '0/0'").await
}
