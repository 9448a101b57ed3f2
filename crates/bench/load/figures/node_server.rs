//! The Node server that this one replaces, beside it: what people and operators wait for, in turns.
//!
//! `cargo bench -- node --node=PATH` measures it, where PATH is the file `dist/index.js` of the Node server. Its source is in the
//! directory `server` of <https://github.com/gitroomhq/postiz-agent>; `npm install` and `npx tsc` make the file.

use std::io::{Error, Result};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::figures::logins;
use crate::load::{open_logins, slice};
use crate::login::{self, Login};
use crate::scale::Scale;
use crate::stage::{Database, Process, Stage};
use crate::stats::{Sample, Times, number};
use crate::table::{Goal, Line};
use crate::wire::{self, Connection};
use crate::{machine, setup};

const CONNECTIONS: usize = 64;
const CODES: usize = 2_000;
/// The CLI's `fetch` closes a connection that is idle for longer. The Node server closes it after 5 s.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// From the opening to the approval: one to two of these, at random.
const TO_APPROVE: Duration = Duration::from_secs(5);

enum Server {
    Ours,
    Node { node: PathBuf, build: PathBuf },
}

/// What was measured of one server.
#[derive(Default)]
struct Column {
    starts: Times,
    opens: Sample,
    polls: Sample,
    logins: Sample,
    /// PostgreSQL's processor time for a login, in milliseconds.
    postgres: Sample,
    waits: Times,
    crowd: Crowd,
}

/// Thousands of waiting terminals.
#[derive(Default)]
struct Crowd {
    /// In megabytes: without terminals, and the peak with them.
    idle: f64,
    most: f64,
    polls: f64,
    server_cores: f64,
    postgres_cores: f64,
}

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let build = stage.node_server.clone().expect("--node=PATH of the Node server's dist/index.js");
    let node = setup::node().expect("Node.js can't be installed; see above");
    let servers = [Server::Node { node, build }, Server::Ours];
    let [mut theirs, mut ours] = [Column::default(), Column::default()];
    for (server, column) in servers.iter().zip([&mut theirs, &mut ours]) {
        column.starts = starts(server, stage, scale).await;
        column.waits = waits(server, stage, scale).await;
        column.crowd = crowd(server, stage, scale).await;
    }
    rates(&servers, [&mut theirs, &mut ours], stage, scale).await;
    lines(&theirs, &ours, scale)
}

impl Server {
    async fn start(&self, stage: &Stage, database: &Database, variables: &[(&str, &str)]) -> Process {
        let process = match self {
            Self::Ours => stage.start_replica(&database.url, variables),
            Self::Node { node, build } => {
                let mut command = Command::new(node);
                command.arg(build);
                stage.start_server(command, &database.url, variables)
            }
        };
        process.healthy().await;
        process
    }
}

async fn starts(server: &Server, stage: &Stage, scale: &Scale) -> Times {
    let database = stage.database().await;
    // Makes the tables.
    drop(server.start(stage, &database, &[]).await);
    let mut times = Times::default();
    for _ in 0..scale.runs {
        let begun = Instant::now();
        let _process = server.start(stage, &database, &[]).await;
        times.add(begun.elapsed());
    }
    times
}

/// Rates. Pending polls are answered at once, because the Node server holds none.
async fn rates(servers: &[Server; 2], mut columns: [&mut Column; 2], stage: &Stage, scale: &Scale) {
    let mut running = Vec::new();
    for server in servers {
        let database = stage.database().await;
        let process = server.start(stage, &database, &[("LONG_POLL_SECONDS", "0")]).await;
        let holding = server.start(stage, &database, &[]).await;
        running.push((database, process, holding));
    }
    let open = Arc::new(vec![login::open_request()]);
    for _ in 0..scale.rounds {
        for ((of, (database, server, holding)), column) in servers.iter().zip(&running).zip(&mut columns) {
            database.run("TRUNCATE device_requests").await;
            column.opens.add(slice(server.port, CONNECTIONS, scale.slice, &open, 200).await.per_second);

            database.run("TRUNCATE device_requests").await;
            let logins = open_logins(server.port, CODES).await;
            let polls = Arc::new(logins.into_iter().map(|login| login.poll).collect::<Vec<_>>());
            column.polls.add(slice(server.port, CONNECTIONS, scale.slice, &polls, 400).await.per_second);

            database.run("TRUNCATE device_requests").await;
            let (begun, before) = (Instant::now(), stage.postgres_seconds());
            let holds = matches!(of, Server::Ours);
            let logins = logins_for(holding.port, stage.postiz.port, holds, scale.slice).await as f64;
            column.logins.add(logins / begun.elapsed().as_secs_f64());
            column.postgres.add((stage.postgres_seconds() - before) * 1000.0 / logins);
        }
    }
}

/// Whole logins by each of 64 people, one after another. Returns their number. A poll is held while the callback arrives, as
/// its page waits for the terminal; to a server that holds none it is sent afterwards.
async fn logins_for(server: u16, postiz: u16, holds: bool, time: Duration) -> usize {
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..CONNECTIONS {
        tasks.spawn(async move {
            let mut person = Person::new(server, postiz).await;
            let mut terminal = Connection::to(server).await.unwrap();
            let mut done = 0;
            while begun.elapsed() < time {
                if holds {
                    logins::one(&mut terminal, &mut person.browser, &mut person.postiz).await.unwrap();
                } else {
                    let login = login::open(&mut terminal).await.unwrap();
                    person.approve(&login).await.unwrap();
                    let answer = terminal.ask(&login.poll).await.unwrap();
                    assert!(login::token(&answer).unwrap().is_some(), "approved, but there is no token");
                }
                done += 1;
            }
            done
        });
    }
    tasks.join_all().await.into_iter().sum()
}

struct Person {
    browser: Connection,
    postiz: Connection,
}

impl Person {
    async fn new(server: u16, postiz: u16) -> Self {
        Self { browser: Connection::to(server).await.unwrap(), postiz: Connection::to(postiz).await.unwrap() }
    }

    /// Returns when the browser shows the last page, with the time of the callback's request.
    async fn approve(&mut self, login: &Login) -> Result<Instant> {
        let approved = login::approve(&mut self.browser, &mut self.postiz, &login.user_code).await?;
        let begun = Instant::now();
        let page = self.browser.ask(&approved.callback).await?;
        // A page, or where it is.
        if page.status < 400 { Ok(begun) } else { Err(Error::other(page.head)) }
    }
}

/// Terminals that poll as the CLI does, each with its announced interval. Measures from the callback to the token.
async fn waits(server: &Server, stage: &Stage, scale: &Scale) -> Times {
    let database = stage.database().await;
    let process = server.start(stage, &database, &[]).await;
    let mut tasks = JoinSet::new();
    for _ in 0..scale.logins {
        let (server, postiz) = (process.port, stage.postiz.port);
        tasks.spawn(async move {
            let login = login::open(&mut Connection::to(server).await.unwrap()).await.unwrap();
            let decide = async {
                sleep(TO_APPROVE.mul_f64(rand::random_range(1.0..2.0))).await;
                Person::new(server, postiz).await.approve(&login).await
            };
            let (begun, received) = tokio::try_join!(decide, poll_until_token(server, &login)).unwrap();
            received.duration_since(begun)
        });
    }
    let mut times = Times::default();
    for time in tasks.join_all().await {
        times.add(time);
    }
    times
}

async fn poll_until_token(server: u16, login: &Login) -> Result<Instant> {
    let mut terminal = Terminal { server, connection: None };
    loop {
        sleep(login.interval).await;
        let answer = terminal.connection(login.interval).await?.ask(&login.poll).await?;
        if login::token(&answer)?.is_some() {
            return Ok(Instant::now());
        }
    }
}

/// A terminal's connection, which does not live through a long interval.
struct Terminal {
    server: u16,
    connection: Option<Connection>,
}

impl Terminal {
    async fn connection(&mut self, interval: Duration) -> Result<&mut Connection> {
        let kept = self.connection.take().filter(|_| interval < KEEP_ALIVE);
        let connection = match kept {
            Some(connection) => connection,
            None => Connection::to(self.server).await?,
        };
        Ok(self.connection.insert(connection))
    }
}

async fn crowd(server: &Server, stage: &Stage, scale: &Scale) -> Crowd {
    let database = stage.database().await;
    let process = server.start(stage, &database, &[]).await;
    let idle = machine::resident(process.pid()).0;
    let sent = Arc::new(AtomicU64::new(0));
    let mut terminals = JoinSet::new();
    for (number, login) in open_logins(process.port, scale.waiting).await.into_iter().enumerate() {
        let (port, sent, waiting) = (process.port, Arc::clone(&sent), scale.waiting);
        terminals.spawn(async move {
            // Not all at once.
            sleep(TO_APPROVE.mul_f64(number as f64 / waiting as f64)).await;
            let poll = wire::from_network(number, &login.poll);
            let mut terminal = Terminal { server: port, connection: None };
            loop {
                sent.fetch_add(1, Ordering::Relaxed);
                let connection = terminal.connection(login.interval).await.unwrap();
                let answer = connection.ask(&poll).await.unwrap();
                assert_eq!(login::token(&answer).unwrap(), None);
                sleep(login.interval).await;
            }
        });
    }
    sleep(TO_APPROVE * 2).await;
    let used = || (machine::cpu_seconds(process.pid()), stage.postgres_seconds(), sent.load(Ordering::Relaxed));
    let (begun, before) = (Instant::now(), used());
    sleep(scale.quiet).await;
    let (seconds, after) = (begun.elapsed().as_secs_f64(), used());
    assert_eq!(terminals.len(), scale.waiting, "a terminal has stopped");
    Crowd {
        idle,
        most: machine::resident(process.pid()).1,
        polls: (after.2 - before.2) as f64 / seconds,
        server_cores: (after.0 - before.0) / seconds,
        postgres_cores: (after.1 - before.1) / seconds,
    }
}

fn lines(theirs: &Column, ours: &Column, scale: &Scale) -> Vec<Line> {
    let less = |figure: &str, unit: &str, of: &dyn Fn(&Column) -> f64| {
        let [theirs, ours] = [theirs, ours].map(of);
        Line::new(figure, format!("{} {unit}", number(ours)))
            .against(format!("Node server: {} {unit}", number(theirs)))
            .goal(Goal::at_most(ours / theirs, 1.0, " ×"))
    };
    let more = |figure: &str, of: &dyn Fn(&Column) -> &Sample| {
        let [theirs, ours] = [theirs, ours].map(of);
        Line::new(figure, ours.to_string()).against(format!("Node server: {theirs}")).goal(Goal::at_least(
            ours.over(theirs).median(),
            1.0,
            " ×",
        ))
    };
    let waiting = |figure: &str| format!("{} waiting terminals: {figure}", number(scale.waiting as f64));
    vec![
        less("approval to token at the announced interval, p50", "ms", &|column| column.waits.percentile(50)),
        less("the same, p99", "ms", &|column| column.waits.percentile(99)),
        less("start to the first 200 on `/health`", "ms", &|column| column.starts.percentile(50)),
        more("whole logins/s, 64 at a time", &|column| &column.logins),
        less("PostgreSQL for a login", "ms", &|column| column.postgres.median()),
        more("logins opened/s, 64 connections", &|column| &column.opens),
        more("pending polls/s, 64 connections", &|column| &column.polls),
        less("memory without terminals", "MB", &|column| column.crowd.idle),
        less(&waiting("memory"), "MB", &|column| column.crowd.most),
        less(&waiting("polls/s"), "", &|column| column.crowd.polls),
        less(&waiting("cores of the server"), "", &|column| column.crowd.server_cores),
        less(&waiting("cores of PostgreSQL"), "", &|column| column.crowd.postgres_cores),
    ]
}
