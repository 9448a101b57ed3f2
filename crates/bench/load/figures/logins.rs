//! Rates, and the processor time of a login: whole logins, openings and pending polls, over 64 connections.
//!
//! Pending polls are answered at once, because the Node server holds none. During a whole login a poll is held while the
//! callback arrives; to a server that holds none it is sent afterwards.

use std::io::{Error, Result};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::figures::Scale;
use crate::login::{self, Browser};
use crate::stage::{Database, NOTHING_HELD, Process, Stage, UNLIMITED};
use crate::table::{Row, Sample, Target};
use crate::wire::Connection;

const CONNECTIONS: usize = 64;
/// Logins that are polled for, and clients that open.
const CODES: usize = 2_000;

#[derive(Default)]
struct Column {
    whole: Sample,
    /// Processor time for a login, in milliseconds: PostgreSQL's, and the server's with it.
    postgres: Sample,
    together: Sample,
    opened: Sample,
    polls: Sample,
}

struct Running {
    database: Database,
    holds: bool,
    /// Answers polls at once, and as it does by default.
    answering: Process,
    holding: Process,
}

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Row> {
    let mut running = Vec::new();
    for program in &stage.programs {
        let database = stage.database().await;
        let answering = stage.server(program, &database, &[UNLIMITED, NOTHING_HELD]).await;
        let holding = stage.server(program, &database, &[UNLIMITED]).await;
        running.push(Running { database, holds: program.holds, answering, holding });
    }
    let mut columns: Vec<Column> = running.iter().map(|_| Column::default()).collect();
    for _ in 0..scale.rounds {
        for (running, column) in running.iter().zip(&mut columns) {
            whole(stage, scale, running, column).await;
            opened_and_polled(scale, running, column).await;
        }
    }
    let row = |figure: &str, unit, pick: fn(&Column) -> &Sample, target| {
        Row::new(figure, unit, columns.iter().map(|column| pick(column).clone()), target)
    };
    vec![
        row("PostgreSQL's processor time for a login", " ms", |it| &it.postgres, Target::AtMostNode(1.0)),
        row("the server's and PostgreSQL's", " ms", |it| &it.together, Target::AtMostNode(1.0)),
        row("whole logins a second, 64 at a time", "", |it| &it.whole, Target::AtLeastNode(1.0)),
        row("logins opened a second", "", |it| &it.opened, Target::AtLeastNode(1.5)),
        row("pending polls a second, not held", "", |it| &it.polls, Target::AtLeastNode(3.5)),
    ]
}

async fn whole(stage: &Stage, scale: &Scale, running: &Running, column: &mut Column) {
    running.database.empty().await;
    let used = || [stage.postgres_seconds(), running.holding.cpu_seconds()];
    let (begun, before) = (Instant::now(), used());
    let (server, postiz, holds, time) = (running.holding.port, stage.postiz.port, running.holds, scale.slice);
    let mut lanes = JoinSet::new();
    for _ in 0..CONNECTIONS {
        lanes.spawn(async move {
            let mut lane = Lane::new(server, postiz).await.unwrap();
            let mut done = 0_usize;
            while begun.elapsed() < time {
                lane.log_in(holds).await.unwrap();
                done += 1;
            }
            done
        });
    }
    let done = lanes.join_all().await.into_iter().sum::<usize>() as f64;
    let (seconds, after) = (begun.elapsed().as_secs_f64(), used());
    let [postgres, own] = [0, 1].map(|at| (after[at] - before[at]) * 1000.0 / done);
    column.whole.add(done / seconds);
    column.postgres.add(postgres);
    column.together.add(postgres + own);
}

async fn opened_and_polled(scale: &Scale, running: &Running, column: &mut Column) {
    let port = running.answering.port;
    running.database.empty().await;
    let openings = (0..CODES).map(|_| login::open_request()).collect();
    column.opened.add(per_second(port, scale.slice, openings, 200).await);

    running.database.empty().await;
    let logins = login::open_many((Ipv4Addr::LOCALHOST, port), CODES).await;
    let polls = logins.into_iter().map(|login| login.poll).collect();
    column.polls.add(per_second(port, scale.slice, polls, 400).await);
}

/// Sends random ones of `requests` on each connection, one after another. Panics if an answer has another status.
async fn per_second(port: u16, time: Duration, requests: Vec<Vec<u8>>, status: u16) -> f64 {
    let (requests, begun) = (Arc::new(requests), Instant::now());
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let requests = Arc::clone(&requests);
        tasks.spawn(async move {
            let mut connection = Connection::to(port).await.unwrap();
            let mut answers = 0_usize;
            while begun.elapsed() < time {
                let request = &requests[rand::random::<u32>() as usize % requests.len()];
                assert_eq!(connection.status_of(request).await.unwrap(), status);
                answers += 1;
            }
            answers
        });
    }
    let answers: usize = tasks.join_all().await.into_iter().sum();
    answers as f64 / begun.elapsed().as_secs_f64()
}

/// The connections of one login after another.
struct Lane {
    terminal: Connection,
    browser: Connection,
    postiz: Connection,
}

impl Lane {
    async fn new(server: u16, postiz: u16) -> Result<Self> {
        let to = Connection::to;
        Ok(Self { terminal: to(server).await?, browser: to(server).await?, postiz: to(postiz).await? })
    }

    async fn log_in(&mut self, holds: bool) -> Result<()> {
        let login = login::open(&mut self.terminal).await?;
        let callback = Browser::of(&login).approve(&mut self.browser, &mut self.postiz, &login.user_code).await?;
        if holds {
            self.terminal.send(&login.poll).await?;
        }
        let page = self.browser.ask(&callback).await?;
        login::succeeded(&page)?;
        if !holds {
            self.terminal.send(&login.poll).await?;
        }
        let token = login::token(&self.terminal.answer().await?)?;
        token.map(drop).ok_or_else(|| Error::other("approved, but there is no token"))
    }
}
