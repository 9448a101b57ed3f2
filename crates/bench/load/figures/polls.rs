//! Polls of pending logins, answered at once: compared with the bare HTTP server and with PostgreSQL alone.
//!
//! A login's first poll is looked up, later ones are answered from the pending cache: both are measured.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio_postgres::types::Type;

use crate::load::{Shares, once, open_logins, slice};
use crate::scale::Scale;
use crate::stage::{Database, Stage};
use crate::statements::{self, Executed, LOOK_UP};
use crate::stats::{Sample, Times, number};
use crate::table::{Goal, Line};
use crate::{login, machine, pgbench, wire};

const CONNECTIONS: usize = 64;
const CODES: usize = 2_000;
const CLIENTS: usize = 32;
/// At most this many first polls in one load.
const MAX_FIRST_POLLS: usize = 200_000;

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let database = stage.database().await;
    let server = stage.replica(&database.url, &[("LONG_POLL_SECONDS", "0")]).await;
    let idle = machine::resident(server.pid()).0;
    let polls = Arc::new(open_logins(server.port, CODES).await.into_iter().map(|login| login.poll).collect::<Vec<_>>());
    database.run(pgbench::LOOKED_UP).await;
    let live = Arc::new(vec![wire::get("/health/live", "")]);

    let [mut bare, mut polled, mut alone] = [const { Vec::new() }; 3].map(|_: Vec<f64>| Sample::default());
    let (mut bare_times, mut times, mut bare_shares, mut shares) =
        (Times::default(), Times::default(), Shares::default(), Shares::default());
    let mut looked_up = 0.0;
    for _ in 0..scale.rounds {
        let running = Shares::begin(stage, &server);
        let done = slice(server.port, CONNECTIONS, scale.slice, &live, 200).await;
        bare_shares.end(&running, stage, &server);
        bare.add(done.per_second);
        bare_times.append(done.times);

        statements::reset(&database).await;
        let running = Shares::begin(stage, &server);
        let done = slice(server.port, CONNECTIONS, scale.slice, &polls, 400).await;
        shares.end(&running, stage, &server);
        looked_up += Executed::read(&database).await.rows(LOOK_UP);
        polled.add(done.per_second);
        times.append(done.times);

        alone.add(pgbench::per_second(stage, &database, pgbench::LOOK_UP, CLIENTS, scale.slice).await);
    }
    let most = machine::resident(server.pid()).1;
    let [to_bare, to_alone] = [&bare, &alone].map(|other| polled.over(other));
    vec![
        Line::new("pending polls/s, 64 connections, 2,000 codes", polled.to_string())
            .against(format!("`/health/live`: {bare}"))
            .goal(Goal::at_least(to_bare.median(), 0.65, "")),
        Line::new("the same", format!("ratios {to_alone}"))
            .against(format!("pgbench, 32 clients, one by one: {alone}"))
            .goal(Goal::at_least(to_alone.median(), 0.8, "")),
        Line::new("time of a poll", times.p50_and_p99()).against(format!(
            "p99 is {} × p50; `/health/live`: {}",
            number(times.p99_over_p50()),
            bare_times.p50_and_p99()
        )),
        Line::new("polls for each login that was looked up", number(times.len() as f64 / looked_up)),
        Line::new("processors under polls", shares.sentence())
            .against(format!("`/health/live`: {}", bare_shares.sentence())),
        Line::new("memory under polls", format!("{} MB", number(most)))
            .against(format!("idle: {} MB", number(idle)))
            .goal(Goal::at_most(most, 25.0, " MB")),
    ]
    .into_iter()
    .chain(first_polls(stage, scale).await)
    .collect()
}

/// Each poll is the first of its login at this replica.
async fn first_polls(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let database = stage.database().await;
    let server = stage.replica(&database.url, &[("LONG_POLL_SECONDS", "0")]).await;
    let live = Arc::new(vec![wire::get("/health/live", "")]);
    let [mut bare, mut polled, mut alone] = [const { Vec::new() }; 3].map(|_: Vec<f64>| Sample::default());
    let (mut times, mut shares, mut group) = (Times::default(), Shares::default(), Sample::default());
    let count = MAX_FIRST_POLLS.min(MAX_FIRST_POLLS * scale.slice.as_millis() as usize / 3_000);
    for _ in 0..scale.rounds {
        database.run("TRUNCATE device_requests").await;
        database.run(pgbench::LOOKED_UP).await;
        let polls = Arc::new(unknown_logins(&database, count).await);
        bare.add(slice(server.port, CONNECTIONS, scale.slice, &live, 200).await.per_second);
        statements::reset(&database).await;
        let running = Shares::begin(stage, &server);
        let done = once(server.port, CONNECTIONS, scale.slice, &polls, 400).await;
        shares.end(&running, stage, &server);
        let executed = Executed::read(&database).await;
        group.add(executed.rows(LOOK_UP) / executed.calls(LOOK_UP));
        polled.add(done.per_second);
        times.append(done.times);
        alone.add(pgbench::per_second(stage, &database, pgbench::LOOK_UP, CLIENTS, scale.slice).await);
    }
    let ratio = polled.over(&bare).median();
    vec![
        Line::new("first polls/s, 64 connections, each of a different login", polled.to_string())
            .against(format!(
                "`/health/live`: {bare}; {} × pgbench, one by one; {} logins in one look-up",
                number(polled.over(&alone).median()),
                number(group.median())
            ))
            .goal(Goal::at_least(ratio, 0.6, " × `/health/live`")),
        Line::new("time of a first poll", times.p50_and_p99()).against(format!(
            "p99 is {} × p50; {}",
            number(times.p99_over_p50()),
            shares.sentence()
        )),
    ]
}

/// Inserts pending logins that no replica knows. Returns a poll of each.
async fn unknown_logins(database: &Database, count: usize) -> Vec<Vec<u8>> {
    let codes: Vec<[u8; 32]> = (0..count).map(|_| rand::random()).collect();
    let ids: Vec<Vec<u8>> = codes.iter().map(|code| Sha256::digest(code).to_vec()).collect();
    let insert = "INSERT INTO device_requests (id, user_code, sealing_key, requester, expires_at, purge_at)
                  SELECT id, lpad(n::text, 8, 'Y'), sha256('k'), '127.0.0.1', now() + '900 s', now() + '960 s'
                  FROM unnest($1) WITH ORDINALITY AS new (id, n)";
    database.client.execute_typed(insert, &[(&ids, Type::BYTEA_ARRAY)]).await.unwrap();
    database.run("ANALYZE device_requests").await;
    let hex = |code: &[u8; 32]| code.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    codes.iter().map(|code| login::poll_request(&hex(code))).collect()
}
