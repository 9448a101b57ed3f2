//! Clients that disconnect while their polls are held.

use std::time::{Duration, Instant};

use crate::load::open_logins;
use crate::machine;
use crate::scale::Scale;
use crate::stage::Stage;
use crate::statements::{self, DECISION_FEED, Executed};
use crate::stats::number;
use crate::table::{Goal, Line};
use crate::wire::Connection;

/// How often the replica is inspected.
const INSPECT_EVERY: Duration = Duration::from_millis(2);
const TIMEOUT: Duration = Duration::from_secs(5);

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let database = stage.database().await;
    let server = stage.replica(&database.url, &[]).await;
    let idle = machine::descriptors(server.pid());
    statements::reset(&database).await;
    let logins = open_logins(server.port, scale.failing).await;
    let mut held = Vec::new();
    for login in &logins {
        let mut connection = Connection::to(server.port).await.unwrap();
        connection.send(&login.poll).await.unwrap();
        held.push(connection);
    }
    // `idle` may count a request of the start that has ended meanwhile.
    until(|| machine::descriptors(server.pid()) >= logins.len()).await;
    // The decision feed queries only while polls are held.
    let feed_calls = async || Executed::read(&database).await.calls(DECISION_FEED);
    while feed_calls().await == 0.0 {}
    let gone = Instant::now();
    drop(held);
    // The connections that the pool has opened meanwhile stay open.
    until(|| machine::descriptors(server.pid()) < idle + 20).await;
    let freed = gone.elapsed().as_secs_f64() * 1000.0;
    tokio::time::sleep(Duration::from_millis(250)).await;
    let before = feed_calls().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = feed_calls().await;
    vec![
        Line::new(
            &format!("{} held polls whose clients disconnect", logins.len()),
            format!(
                "all sockets closed after {} ms; {} statements of the decision feed in the next second",
                number(freed),
                after - before
            ),
        )
        .goal(Goal::at_most(after - before, 0.0, " statements")),
    ]
}

async fn until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < TIMEOUT, "the sockets are neither opened nor closed in time");
        tokio::time::sleep(INSPECT_EVERY).await;
    }
}
