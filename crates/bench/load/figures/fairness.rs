//! A login beside one network at full force.

use std::io::{BufRead as _, BufReader, Read as _, Result, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::figures::logins::one;
use crate::load::open_logins;
use crate::scale::Scale;
use crate::stage::{Process, Stage};
use crate::stats::{Times, number};
use crate::table::{Goal, Line};
use crate::wire::{self, Connection};

/// The argument that makes this program the flood.
pub const FLOOD: &str = "flood";
/// All of the flood comes from here, says its proxy.
const ADDRESS: &str = "198.51.100.66";
/// Of the flood.
const LOGINS: usize = 256;
/// A login that takes longer has failed. A terminal and a person would wait.
const TIMEOUT: Duration = Duration::from_secs(15);
const HEALTH_EVERY: Duration = Duration::from_millis(200);

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let database = stage.database().await;
    let server = stage.replica(&database.url, &[]).await;
    let alone = honest(stage, &server, scale).await;
    let flood = Flood::start(server.port, scale.flood);
    let beside = honest(stage, &server, scale).await;
    let answered = flood.stop();
    vec![
        Line::new("a login alone", alone.times.p50_and_p99()).against(format!("{} logins", alone.times.len())),
        Line::new(
            &format!(
                "the same beside {} connections of one network that confirm and poll too early",
                number(scale.flood as f64)
            ),
            beside.times.p50_and_p99(),
        )
        .against(format!(
            "{} logins, {} failed; {} of {} health checks failed; the flood got {} answers/s",
            beside.times.len(),
            beside.failed,
            beside.unhealthy,
            beside.health_checks,
            number(answered),
        ))
        .goal(Goal::at_most(beside.failed as f64, 0.0, " failed")),
    ]
}

#[derive(Default)]
struct Honest {
    times: Times,
    failed: usize,
    unhealthy: usize,
    health_checks: usize,
}

/// One login after another, with health checks between them.
async fn honest(stage: &Stage, server: &Process, scale: &Scale) -> Honest {
    let mut honest = Honest::default();
    let (begun, mut checked) = (Instant::now(), Instant::now());
    let mut connections = None;
    while begun.elapsed() < scale.slice * 5 {
        let asked = Instant::now();
        let mut kept = match connections.take() {
            Some(kept) => kept,
            None => connect(server.port, stage.postiz.port).await.unwrap(),
        };
        let [terminal, browser, postiz] = &mut kept;
        if let Ok(Ok(_)) = timeout(TIMEOUT, one(terminal, browser, postiz)).await {
            honest.times.add(asked.elapsed());
            connections = Some(kept);
        } else {
            honest.failed += 1;
        }
        if checked.elapsed() > HEALTH_EVERY {
            checked = Instant::now();
            honest.health_checks += 1;
            honest.unhealthy += usize::from(server.health().await != Some(200));
        }
    }
    honest
}

async fn connect(server: u16, postiz: u16) -> Result<[Connection; 3]> {
    Ok([Connection::to(server).await?, Connection::to(server).await?, Connection::to(postiz).await?])
}

/// A process of its own, so that its work does not delay the measured logins here.
struct Flood(Child);

impl Flood {
    /// Returns when all of its connections are made.
    fn start(port: u16, connections: usize) -> Self {
        let program = std::env::current_exe().unwrap();
        let arguments = [FLOOD.to_owned(), port.to_string(), connections.to_string()];
        let mut child =
            Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        Self(child)
    }

    /// Returns its answers a second.
    fn stop(mut self) -> f64 {
        drop(self.0.stdin.take());
        let mut rate = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut rate).unwrap();
        self.0.wait().unwrap();
        rate.trim().parse().unwrap()
    }
}

/// Confirms and polls on each connection until the standard input is closed.
pub async fn be_the_flood(port: u16, connections: usize) {
    let mut requests = Vec::new();
    for login in open_logins(port, LOGINS).await {
        let form = format!("user_code={}&action=continue", login.user_code);
        requests.push(wire::from_address(ADDRESS, &wire::post_form("/device/verify", "", &form)));
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code={}",
            login.device_code
        );
        requests.push(wire::from_address(ADDRESS, &wire::post_form("/device/token", "", &form)));
    }
    let mut made = Vec::new();
    for _ in 0..connections {
        made.push(Connection::to(port).await.unwrap());
    }
    println!("ready");
    let _ = std::io::stdout().flush();
    let (begun, stopped) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let mut tasks = JoinSet::new();
    for (number, mut connection) in made.into_iter().enumerate() {
        let (request, stopped) = (requests[number % requests.len()].clone(), Arc::clone(&stopped));
        tasks.spawn(async move {
            let mut answers = 0_u32;
            while !stopped.load(Ordering::Relaxed) {
                match connection.status_of(&request).await {
                    Ok(_) => answers += 1,
                    Err(_) => connection = Connection::to(port).await.unwrap(),
                }
            }
            answers
        });
    }
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    stopped.store(true, Ordering::Relaxed);
    let answers: u32 = tasks.join_all().await.into_iter().sum();
    println!("{}", f64::from(answers) / begun.elapsed().as_secs_f64());
}
