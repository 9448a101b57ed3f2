//! Opened logins a second, compared with PostgreSQL inserting the same rows one by one, each with an fsync.

use std::sync::Arc;

use crate::load::{Shares, slice};
use crate::scale::Scale;
use crate::stage::Stage;
use crate::stats::{Sample, Times, number};
use crate::table::{Goal, Line};
use crate::{login, pgbench};

const CONNECTIONS: usize = 64;

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let database = stage.database().await;
    let server = stage.replica(&database.url, &[]).await;
    let request = Arc::new(vec![login::open_request()]);
    let (mut opened, mut alone, mut times, mut shares) =
        (Sample::default(), Sample::default(), Times::default(), Shares::default());
    for _ in 0..scale.rounds {
        database.run("TRUNCATE device_requests").await;
        let running = Shares::begin(stage, &server);
        let done = slice(server.port, CONNECTIONS, scale.slice, &request, 200).await;
        shares.end(&running, stage, &server);
        opened.add(done.per_second);
        times.append(done.times);

        database.run("TRUNCATE device_requests").await;
        alone.add(pgbench::per_second(stage, &database, pgbench::OPEN, CONNECTIONS, scale.slice).await);
    }
    let ratio = opened.over(&alone);
    vec![
        Line::new("logins opened/s, 64 connections", opened.to_string())
            .against(format!("pgbench, 64 clients, the same row one by one: {alone}"))
            .goal(Goal::at_least(ratio.median(), 1.2, "")),
        Line::new("time of an opening", times.p50_and_p99()).against(format!(
            "p99 is {} × p50; {}",
            number(times.p99_over_p50()),
            shares.sentence()
        )),
    ]
}
