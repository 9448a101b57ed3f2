//! The server's statements in `pg_stat_statements`, by their names in the store.

use tokio_postgres::Row;

use crate::stage::Database;

/// Each statement's name, and a part that no other statement has. The first match counts.
const KINDS: [(&str, &str); 11] = [
    (OPEN, "INSERT INTO device_requests"),
    (DECISION_FEED, "clock.read_only"),
    ("claim", "AS is_last_code"),
    ("approve", "sealed_token = $"),
    ("deliver", "RETURNING sealed_token"),
    ("begin", "least(device_requests.browsers"),
    ("page", "AS several_browsers"),
    (LOOK_UP, "unnest($1) AS asked"),
    (NOTE_POLL, "SET polled_at = now()"),
    ("terminal", "WHEN now() - coalesce(polled_at, opened_at)"),
    (CLEANUP, "FOR UPDATE SKIP LOCKED"),
];
pub const OPEN: &str = "open";
pub const DECISION_FEED: &str = "decision feed";
pub const LOOK_UP: &str = "look-up";
pub const NOTE_POLL: &str = "note of a poll";
pub const CLEANUP: &str = "cleanup";

/// What the server has executed since the last reset.
#[derive(Debug, Clone, Default)]
pub struct Executed(Vec<Kind>);

#[derive(Debug, Clone)]
struct Kind {
    name: &'static str,
    calls: f64,
    rows: f64,
    pages: f64,
}

pub async fn reset(database: &Database) {
    database.run("SELECT pg_stat_statements_reset()").await;
}

impl Executed {
    /// Panics if a statement of the store is not in the list: a changed statement must not count as none.
    pub async fn read(database: &Database) -> Self {
        let sql = "SELECT query, sum(calls)::float8, sum(rows)::float8,
                          sum(shared_blks_hit + shared_blks_read)::float8 FROM pg_stat_statements
                   WHERE query LIKE '%device_requests%' AND query NOT LIKE '%pg\\_%' AND query NOT LIKE 'TRUNCATE%'
                   GROUP BY query ORDER BY 2 DESC";
        let rows = database.client.query_typed(sql, &[]).await.unwrap();
        let kind = |row: &Row| Kind { name: name(row.get(0)), calls: row.get(1), rows: row.get(2), pages: row.get(3) };
        Self(rows.iter().map(kind).collect())
    }

    /// All statements but those that clean up: name and calls, the most frequent first.
    pub fn without_cleanup(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.own().map(|kind| (kind.name, kind.calls))
    }

    /// The pages that they have read, from memory or disk, without the decision feed's.
    pub fn pages(&self) -> f64 {
        sum(self.own().filter(|kind| kind.name != DECISION_FEED).map(|kind| kind.pages))
    }

    fn own(&self) -> impl Iterator<Item = &Kind> {
        self.0.iter().filter(|kind| kind.name != CLEANUP)
    }

    pub fn all_calls(&self) -> f64 {
        sum(self.0.iter().map(|kind| kind.calls))
    }

    pub fn calls(&self, name: &str) -> f64 {
        sum(self.of(name).map(|kind| kind.calls))
    }

    /// For the look-up, the logins that were looked up: one statement looks up several.
    pub fn rows(&self, name: &str) -> f64 {
        sum(self.of(name).map(|kind| kind.rows))
    }

    fn of(&self, name: &str) -> impl Iterator<Item = &Kind> {
        assert!(KINDS.iter().any(|(known, _)| *known == name), "no statement is called {name}");
        self.0.iter().filter(move |kind| kind.name == name)
    }
}

/// `Iterator::sum` of nothing is -0.0.
fn sum(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(0.0, |sum, number| sum + number)
}

fn name(sql: &str) -> &'static str {
    let kind = KINDS.iter().find(|(_, part)| sql.contains(part));
    kind.unwrap_or_else(|| panic!("a statement of the store is not in the list: {sql}")).0
}
