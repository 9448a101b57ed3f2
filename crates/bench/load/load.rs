//! Many connections at once, each with one request after another, for a limited time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::login::{self, Login};
use crate::machine;
use crate::stage::{Process, Stage};
use crate::stats::{Sample, Times};
use crate::wire::Connection;

pub struct Slice {
    pub per_second: f64,
    pub times: Times,
}

/// Sends random ones of `requests` on each connection, one after another. Panics if an answer has another status.
pub async fn slice(port: u16, connections: usize, time: Duration, requests: &Arc<Vec<Vec<u8>>>, status: u16) -> Slice {
    let count = requests.len();
    run(port, connections, time, requests, status, move || Some(rand::random::<u32>() as usize % count)).await
}

/// Sends each of `requests` once, until all are sent or the time is over.
pub async fn once(port: u16, connections: usize, time: Duration, requests: &Arc<Vec<Vec<u8>>>, status: u16) -> Slice {
    let (count, next) = (requests.len(), Arc::new(AtomicUsize::new(0)));
    run(port, connections, time, requests, status, move || {
        Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < count)
    })
    .await
}

async fn run(
    port: u16,
    connections: usize,
    time: Duration,
    requests: &Arc<Vec<Vec<u8>>>,
    status: u16,
    pick: impl Fn() -> Option<usize> + Clone + Send + 'static,
) -> Slice {
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..connections {
        let (requests, pick) = (Arc::clone(requests), pick.clone());
        tasks.spawn(async move {
            let mut connection = Connection::to(port).await.unwrap();
            let mut times = Times::default();
            while let Some(at) = pick().filter(|_| begun.elapsed() < time) {
                let request = &requests[at];
                let asked = Instant::now();
                assert_eq!(connection.status_of(request).await.unwrap(), status);
                times.add(asked.elapsed());
            }
            times
        });
    }
    let mut times = Times::default();
    while let Some(done) = tasks.join_next().await {
        times.append(done.unwrap());
    }
    Slice { per_second: times.len() as f64 / begun.elapsed().as_secs_f64(), times }
}

/// Opens `count` logins over 64 connections.
pub async fn open_logins(port: u16, count: usize) -> Vec<Login> {
    const CONNECTIONS: usize = 64;
    let mut tasks = JoinSet::new();
    for part in 0..CONNECTIONS.min(count) {
        let share = (count - part).div_ceil(CONNECTIONS.min(count));
        tasks.spawn(async move {
            let mut connection = Connection::to(port).await.unwrap();
            let mut opened = Vec::with_capacity(share);
            for _ in 0..share {
                opened.push(login::open(&mut connection).await.unwrap());
            }
            opened
        });
    }
    tasks.join_all().await.concat()
}

/// Processor use in cores: the server, PostgreSQL, this program, the stand-in, and all other processes.
#[derive(Default)]
pub struct Shares([Sample; 5]);

pub struct Running {
    begun: Instant,
    used: [f64; 5],
}

impl Shares {
    pub fn begin(stage: &Stage, server: &Process) -> Running {
        Running { begun: Instant::now(), used: used(stage, server) }
    }

    pub fn end(&mut self, running: &Running, stage: &Stage, server: &Process) {
        let seconds = running.begun.elapsed().as_secs_f64();
        for ((share, before), after) in self.0.iter_mut().zip(running.used).zip(used(stage, server)) {
            share.add((after - before) / seconds);
        }
    }

    /// `cores: server 0.74, PostgreSQL 0.55, load 0.60`; a share below 0.05 is left out.
    pub fn sentence(&self) -> String {
        let names = ["server", "PostgreSQL", "load", "stand-in", "others"];
        let shares = names.into_iter().zip(self.0.iter().map(Sample::median));
        let parts: Vec<String> =
            shares.filter(|(_, cores)| *cores >= 0.05).map(|(name, cores)| format!("{name} {cores:.2}")).collect();
        format!("cores: {}", parts.join(", "))
    }
}

fn used(stage: &Stage, server: &Process) -> [f64; 5] {
    let known = [
        machine::cpu_seconds(server.pid()),
        stage.postgres_seconds(),
        machine::cpu_seconds(std::process::id()),
        machine::cpu_seconds(stage.postiz.pid()),
    ];
    let [server, postgres, load, stand_in] = known;
    [server, postgres, load, stand_in, machine::busy_seconds() - known.iter().sum::<f64>()]
}
