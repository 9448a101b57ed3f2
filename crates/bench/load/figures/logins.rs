//! Whole logins, from opening to token, 64 at a time.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::load::Shares;
use crate::scale::Scale;
use crate::stage::Stage;
use crate::stats::{Sample, Times, number};
use crate::table::Line;
use crate::wire::Connection;
use crate::{login, pgbench};

const AT_A_TIME: usize = 64;

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let database = stage.database().await;
    let server = stage.replica(&database.url, &[]).await;
    let (mut whole, mut alone, mut times, mut shares) =
        (Sample::default(), Sample::default(), Times::default(), Shares::default());
    for _ in 0..scale.rounds {
        database.run("TRUNCATE device_requests").await;
        let running = Shares::begin(stage, &server);
        let begun = Instant::now();
        let done = slice(server.port, stage.postiz.port, scale.slice).await;
        whole.add(done.len() as f64 / begun.elapsed().as_secs_f64());
        shares.end(&running, stage, &server);
        times.append(done);

        database.run("TRUNCATE device_requests").await;
        alone.add(pgbench::per_second(stage, &database, pgbench::LOGIN, AT_A_TIME, scale.slice).await);
    }
    vec![
        Line::new("whole logins/s, 64 at a time", whole.to_string()).against(format!(
            "pgbench, 64 clients, their statements one by one: {alone}; ratio {}",
            number(whole.over(&alone).median())
        )),
        Line::new("time of a whole login", times.p50_and_p99()).against(format!(
            "p99 is {} × p50; {}",
            number(times.p99_over_p50()),
            shares.sentence()
        )),
    ]
}

async fn slice(server: u16, postiz: u16, time: Duration) -> Times {
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..AT_A_TIME {
        tasks.spawn(async move {
            let mut terminal = Connection::to(server).await.unwrap();
            let mut browser = Connection::to(server).await.unwrap();
            let mut postiz = Connection::to(postiz).await.unwrap();
            let mut times = Times::default();
            while begun.elapsed() < time {
                let started = Instant::now();
                one(&mut terminal, &mut browser, &mut postiz).await.unwrap();
                times.add(started.elapsed());
            }
            times
        });
    }
    let mut times = Times::default();
    while let Some(done) = tasks.join_next().await {
        times.append(done.unwrap());
    }
    times
}

/// One login whose poll is held while the callback arrives. Fails unless both succeed.
pub async fn one(
    terminal: &mut Connection,
    browser: &mut Connection,
    postiz: &mut Connection,
) -> std::io::Result<String> {
    let login = login::open(terminal).await?;
    let approved = login::approve(browser, postiz, &login.user_code).await?;
    terminal.send(&login.poll).await?;
    let (page, answer) = tokio::try_join!(browser.ask(&approved.callback), terminal.answer())?;
    login::expect(page, 303)?;
    login::token(&answer)?.ok_or_else(|| std::io::Error::other("a poll was not held"))
}
