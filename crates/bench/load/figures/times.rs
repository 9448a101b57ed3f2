//! What people and operators wait for: from the callback's request to the terminal's token, and from the start of a server
//! to the first 200 of `/health`.

use std::io::Result;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::figures::Scale;
use crate::login::{self, Browser, Login, Terminal};
use crate::stage::{Stage, UNLIMITED};
use crate::table::{Row, Sample, Target};
use crate::wire::Connection;

/// From the opening to the approval: one to two of these, at random, so that all terminals poll by then.
const TO_APPROVE: Duration = Duration::from_secs(5);

pub async fn approvals(stage: &Stage, scale: &Scale) -> Vec<Row> {
    let (mut same, mut other) = (Vec::new(), Vec::new());
    for program in &stage.programs {
        let database = stage.database().await;
        let one = stage.server(program, &database, &[UNLIMITED]).await;
        let another = stage.server(program, &database, &[UNLIMITED]).await;
        same.push(times(stage, scale, one.port, one.port).await);
        other.push(times(stage, scale, one.port, another.port).await);
    }
    let most = |columns: &[Sample]| format!("slowest of {} {:.0} ms", columns[0].len(), columns[0].most());
    let (same_most, other_most) = (most(&same), most(&other));
    vec![
        Row::new("approval to token, same replica", " ms", same, Target::AtMost(10.0)).note(same_most),
        Row::new("approval to token, other replica", " ms", other, Target::AtMost(60.0)).note(other_most),
    ]
}

/// The terminals poll one server as the CLI does, each with its announced interval. The browsers use another one.
async fn times(stage: &Stage, scale: &Scale, terminal: u16, browser: u16) -> Sample {
    let mut tasks = JoinSet::new();
    for _ in 0..scale.logins {
        let postiz = stage.postiz.port;
        tasks.spawn(async move {
            let login = login::open(&mut Connection::to(terminal).await?).await?;
            let (begun, received) =
                tokio::try_join!(approve(browser, postiz, &login), poll_until_token(terminal, &login))?;
            Result::Ok(received.duration_since(begun))
        });
    }
    let mut times = Sample::default();
    for time in tasks.join_all().await {
        times.add_time(time.unwrap());
    }
    times
}

/// Returns the time of the callback's request.
async fn approve(server: u16, postiz: u16, login: &Login) -> Result<Instant> {
    sleep(TO_APPROVE.mul_f64(rand::random_range(1.0..2.0))).await;
    let (mut server, mut postiz) = (Connection::to(server).await?, Connection::to(postiz).await?);
    let callback = Browser::of(login).approve(&mut server, &mut postiz, &login.user_code).await?;
    let begun = Instant::now();
    login::succeeded(&server.ask(&callback).await?)?;
    Ok(begun)
}

async fn poll_until_token(server: u16, login: &Login) -> Result<Instant> {
    let mut terminal = Terminal::new((Ipv4Addr::LOCALHOST, server));
    loop {
        sleep(login.interval).await;
        if terminal.poll(login).await?.is_some() {
            return Ok(Instant::now());
        }
    }
}

/// The database is available and has its tables.
pub async fn start(stage: &Stage, scale: &Scale) -> Vec<Row> {
    let mut columns = Vec::new();
    for program in &stage.programs {
        let database = stage.database().await;
        // Makes the tables.
        drop(stage.server(program, &database, &[]).await);
        let mut times = Sample::default();
        for _ in 0..scale.runs {
            let begun = Instant::now();
            let _server = stage.server(program, &database, &[]).await;
            times.add_time(begun.elapsed());
        }
        columns.push(times);
    }
    vec![Row::new("start to the first 200 on `/health`", " ms", columns, Target::AtMost(50.0))]
}
