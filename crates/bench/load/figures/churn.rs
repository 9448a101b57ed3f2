//! Millions of logins through all steps: the size of the table, and the cost of the statements on it.
//!
//! It takes a quarter of an hour and some gigabytes, so it runs only if it is named.

use std::time::{Duration, Instant};

use tokio_postgres::SimpleQueryMessage;

use crate::figures::logins;
use crate::scale::Scale;
use crate::stage::{Database, Process, Stage};
use crate::statements::{self, Executed};
use crate::stats::number;
use crate::table::{Goal, Line};
use crate::wire::Connection;

/// Logins in one round.
const ROWS: usize = 100_000;

/// A plan that reads the whole table takes thousands.
const MORE_PAGES: f64 = 3.0;

/// As in src/store/cleanup.rs.
const CLEANUP: &str = "DELETE FROM device_requests WHERE id IN (
                         SELECT id FROM device_requests WHERE purge_at <= now()
                         ORDER BY purge_at LIMIT 500 FOR UPDATE SKIP LOCKED
                     )";

/// Logins by the server, to count the pages that they read.
const PROBES: usize = 50;

struct Snapshot {
    table_mb: f64,
    indexes_mb: f64,
    /// Pages that a look-up, the decision feed and a cleanup without work read.
    pages: [f64; 3],
    /// Pages that the server's statements read for a login, while a round's logins are all pending.
    of_a_login: f64,
}

/// A server that runs from the empty table to the last round, so that it keeps the plans of its first statements.
struct Probe {
    server: Process,
    postiz: u16,
}

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let eager = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0";
    let mut lines = churn(stage, scale.churned, "as it is", "").await;
    lines.extend(churn(stage, scale.churned / 5, "eager autovacuum", eager).await);
    lines.extend(churn(stage, scale.churned / 5, "fillfactor 70", "fillfactor = 70").await);
    lines
}

async fn churn(stage: &Stage, logins: usize, name: &str, settings: &str) -> Vec<Line> {
    let database = stage.database().await;
    let server = stage.replica(&database.url, &[]).await;
    let probe = Probe { server, postiz: stage.postiz.port };
    let on_an_empty_table = probe.pages_of_a_login(&database).await;
    if !settings.is_empty() {
        database.run(&format!("ALTER TABLE device_requests SET ({settings})")).await;
    }
    let rounds = logins.div_ceil(ROWS);
    let rows = logins.min(ROWS);
    let sql = include_str!("../sql/churn.sql").replace("$rows", &rows.to_string());
    let (mut snapshots, mut halves) = (Vec::new(), [Duration::ZERO; 2]);
    for round in 1..=rounds {
        let is_watched = round == 1 || round == rounds.div_ceil(2) || round == rounds;
        let mut of_a_login = 0.0;
        let begun = Instant::now();
        // One by one: together they would form one transaction.
        for (step, statement) in sql.replace("$round", &round.to_string()).split_inclusive(';').enumerate() {
            database.run(statement).await;
            if step == 0 && is_watched {
                of_a_login = probe.pages_of_a_login(&database).await;
            }
        }
        while database.client.execute_typed(CLEANUP, &[]).await.unwrap() > 0 {}
        halves[usize::from(round > rounds / 2)] += begun.elapsed();
        if is_watched {
            snapshots.push(snapshot(&database, of_a_login).await);
        }
    }
    let (first, half, last) = (&snapshots[0], &snapshots[snapshots.len() / 2], &snapshots[snapshots.len() - 1]);
    let hot = database
        .number("SELECT n_tup_hot_upd::float8 / greatest(n_tup_upd, 1) FROM pg_stat_user_tables WHERE relname = 'device_requests'")
        .await;
    let vacuums =
        database.number("SELECT autovacuum_count FROM pg_stat_user_tables WHERE relname = 'device_requests'").await;
    let pages = |snapshot: &Snapshot| snapshot.pages.map(number).join(", ");
    vec![
        Line::new(
            &format!("{} logins through all steps, {name}: the table", number(logins as f64)),
            format!("{} MB and {} MB of indexes", number(last.table_mb), number(last.indexes_mb)),
        )
        .against(format!(
            "after the first half {} MB and {} MB; {} autovacuums, {} of the updates touched no index",
            number(half.table_mb),
            number(half.indexes_mb),
            vacuums,
            number(hot)
        ))
        .goal(Goal::at_most(
            (last.table_mb + last.indexes_mb) / (half.table_mb + half.indexes_mb),
            1.25,
            " × its size after the first half",
        )),
        Line::new("the same: pages for a look-up, the decision feed, a cleanup without work", pages(last)).against(
            format!(
                "after the first round {}; the second half took {} × the first's time",
                pages(first),
                number(halves[1].as_secs_f64() / halves[0].as_secs_f64())
            ),
        ),
        Line::new(
            &format!(
                "the same: pages that a server's statements read for a login among {} others",
                number(rows as f64)
            ),
            number(last.of_a_login),
        )
        .against(format!(
            "on the empty table, when it prepared them: {}; in the first round: {}",
            number(on_an_empty_table),
            number(first.of_a_login)
        ))
        .goal(Goal::at_most(last.of_a_login / on_an_empty_table, MORE_PAGES, " × those on the empty table")),
    ]
}

impl Probe {
    async fn pages_of_a_login(&self, database: &Database) -> f64 {
        // The server closes connections that are idle for as long as a round takes.
        let to = async |port| Connection::to(port).await.unwrap();
        let server = self.server.port;
        let (mut terminal, mut browser, mut postiz) = (to(server).await, to(server).await, to(self.postiz).await);
        statements::reset(database).await;
        for _ in 0..PROBES {
            logins::one(&mut terminal, &mut browser, &mut postiz).await.unwrap();
        }
        // Without those of the decision feed, which reads the decisions of the round before.
        Executed::read(database).await.pages() / PROBES as f64
    }
}

async fn snapshot(database: &Database, of_a_login: f64) -> Snapshot {
    let megabytes = async |what: &str| database.number(&format!("SELECT {what}('device_requests') / 1048576.0")).await;
    let mut pages = [0.0; 3];
    let asked = [
        "SELECT status FROM device_requests WHERE id = sha256('x')",
        "SELECT id FROM device_requests WHERE settled_at > now() - interval '0.4 s'",
        "SELECT id FROM device_requests WHERE purge_at <= now() ORDER BY purge_at LIMIT 500",
    ];
    for (pages, sql) in pages.iter_mut().zip(asked) {
        let explained =
            database.client.simple_query(&format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}")).await.unwrap();
        let text = explained.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        let plan: serde_json::Value = serde_json::from_str(text.unwrap()).unwrap();
        let read = |name: &str| plan[0]["Plan"][name].as_f64().unwrap_or_default();
        *pages = read("Shared Hit Blocks") + read("Shared Read Blocks");
    }
    let (table_mb, indexes_mb) = (megabytes("pg_relation_size").await, megabytes("pg_indexes_size").await);
    Snapshot { table_mb, indexes_mb, pages, of_a_login }
}
