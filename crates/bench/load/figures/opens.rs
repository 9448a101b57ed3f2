//! Opened logins a second, compared with PostgreSQL inserting the same rows one by one, each with an fsync.
//!
//! The server opens them for 64 terminals, over the database connections of its pool. pgbench has as many connections, with a
//! prepared statement on each.

use std::sync::Arc;

use crate::load::{Shares, slice};
use crate::scale::Scale;
use crate::stage::{POOL_SIZE, Stage};
use crate::stats::{Sample, Times, number};
use crate::table::{Goal, Line};
use crate::{login, pgbench};

const CONNECTIONS: usize = 64;

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let database = stage.database().await;
    let server = stage.replica(&database.url, &[]).await;
    let request = Arc::new(vec![login::open_request()]);
    let [mut opened, mut pooled, mut unpooled] = [(); 3].map(|()| Sample::default());
    let (mut times, mut shares) = (Times::default(), Shares::default());
    for _ in 0..scale.rounds {
        database.run("TRUNCATE device_requests").await;
        let running = Shares::begin(stage, &server);
        let done = slice(server.port, CONNECTIONS, scale.slice, &request, 200).await;
        shares.end(&running, stage, &server);
        opened.add(done.per_second);
        times.append(done.times);

        for (rate, clients) in [(&mut pooled, POOL_SIZE), (&mut unpooled, CONNECTIONS)] {
            database.run("TRUNCATE device_requests").await;
            rate.add(pgbench::per_second(stage, &database, pgbench::OPEN, clients, scale.slice).await);
        }
    }
    let ratio = opened.over(&pooled).median();
    vec![
        Line::new("logins opened/s, 64 terminals, 8 database connections", opened.to_string())
            .against(format!("pgbench, 8 clients, the same row one by one, prepared: {pooled}; 64 clients: {unpooled}"))
            .goal(Goal::at_least(ratio, 1.0, "")),
        Line::new("time of an opening", times.p50_and_p99()).against(format!(
            "p99 is {} × p50; {}",
            number(times.p99_over_p50()),
            shares.sentence()
        )),
    ]
}
