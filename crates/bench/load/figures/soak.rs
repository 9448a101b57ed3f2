//! An hour of logins at a steady rate, with thousands of terminals waiting: does anything grow?

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::chart::{self, Series};
use crate::figures::logins::one;
use crate::login;
use crate::machine;
use crate::scale::Scale;
use crate::stage::{Database, Process, Stage};
use crate::stats::number;
use crate::table::{Goal, Line};
use crate::wire::{self, Connection};

/// Logins a second, through all of their steps.
const RATE: u32 = 20;
/// Connections over which they go, in turns.
const LANES: u32 = 40;
/// Between two polls of the CLI.
const INTERVAL: Duration = Duration::from_secs(1);
/// The lifetime of a grant. The first logins are given up earlier, so that not all expire together.
const TTL: Duration = Duration::from_mins(15);
/// A login that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(15);
const SAMPLES: u32 = 360;
/// The terminals arrive during the first 1/180 of the duration.
const ARRIVAL: u32 = 180;
/// Tables and allocators reach their size during the first third of the duration.
const WARM_UP: usize = 3;
const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/images/soak.svg");
const SAMPLES_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/soak.csv");

#[derive(Default)]
struct Counts {
    done: AtomicU64,
    failed: AtomicU64,
    replaced: AtomicU64,
}

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let database = stage.database().await;
    let server = stage.replica(&database.url, &[]).await;
    let counts = Arc::new(Counts::default());
    let mut load = JoinSet::new();
    for number in 0..scale.waiting {
        load.spawn(wait_for_ever(server.port, number, scale.soak / ARRIVAL, Arc::clone(&counts)));
    }
    for lane in 0..LANES {
        load.spawn(log_in_for_ever(server.port, stage.postiz.port, lane, Arc::clone(&counts)));
    }
    let samples = sample(scale, &database, &server).await;
    assert_eq!(load.len(), scale.waiting + LANES as usize, "a part of the load has stopped");
    drop(load);
    save(&samples);
    lines(scale, &samples, &counts)
}

/// A terminal whose person does nothing. When its login expires, it opens another one.
async fn wait_for_ever(port: u16, number: usize, arrival: Duration, counts: Arc<Counts>) {
    // One network may not have as many held polls.
    let address = format!("198.51.{}.1", number % 100);
    let mut lifetime = TTL.mul_f64(rand::random());
    sleep(arrival.mul_f64(rand::random())).await;
    loop {
        if let Ok(mut connection) = Connection::to(port).await
            && let Ok(opened) = login::open(&mut connection).await
        {
            let (poll, begun) = (wire::from_address(&address, &opened.poll), Instant::now());
            while begun.elapsed() < lifetime {
                let Ok(answer) = connection.ask(&poll).await else { break };
                if login::token(&answer).is_err() {
                    break;
                }
                sleep(INTERVAL).await;
            }
            counts.replaced.fetch_add(1, Ordering::Relaxed);
            lifetime = TTL * 2;
        }
        sleep(INTERVAL).await;
    }
}

async fn log_in_for_ever(server: u16, postiz: u16, lane: u32, counts: Arc<Counts>) {
    sleep(Duration::from_secs(1) / RATE * lane).await;
    let mut ticks = interval(Duration::from_secs(1) / RATE * LANES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let to = async |port| Connection::to(port).await.unwrap();
    let [mut terminal, mut browser, mut there] = [to(server).await, to(server).await, to(postiz).await];
    loop {
        ticks.tick().await;
        match timeout(TIMEOUT, one(&mut terminal, &mut browser, &mut there)).await {
            Ok(Ok(_)) => counts.done.fetch_add(1, Ordering::Relaxed),
            Ok(Err(_)) | Err(_) => {
                [terminal, browser, there] = [to(server).await, to(server).await, to(postiz).await];
                counts.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

/// Minutes since the beginning, resident memory in MB, descriptors, and table and indexes in MB.
type Sample = [f64; 5];

async fn sample(scale: &Scale, database: &Database, server: &Process) -> Vec<Sample> {
    let begun = Instant::now();
    let mut ticks = interval(scale.soak / SAMPLES);
    let mut samples = Vec::new();
    while begun.elapsed() < scale.soak {
        ticks.tick().await;
        let megabytes =
            async |size: &str| database.number(&format!("SELECT {size}('device_requests') / 1000000.0")).await;
        samples.push([
            begun.elapsed().as_secs_f64() / 60.0,
            machine::resident(server.pid()).0,
            machine::descriptors(server.pid()) as f64,
            megabytes("pg_table_size").await,
            megabytes("pg_indexes_size").await,
        ]);
    }
    samples
}

const NAMES: [&str; 4] = ["resident memory (MB)", "open files", "table (MB)", "indexes (MB)"];

fn column(samples: &[Sample], at: usize) -> Series {
    let points = samples.iter().map(|sample| (sample[0], sample[at + 1])).collect();
    Series { name: NAMES[at], points }
}

fn save(samples: &[Sample]) {
    let mut csv = "minutes,resident_mb,open_files,table_mb,indexes_mb\n".to_owned();
    for [minutes, resident, files, table, indexes] in samples {
        let _ = writeln!(csv, "{minutes:.2},{resident:.2},{files},{table:.3},{indexes:.3}");
    }
    std::fs::write(SAMPLES_FILE, csv).unwrap();
    let series: Vec<Series> = (0..NAMES.len()).map(|at| column(samples, at)).collect();
    std::fs::write(PICTURE, chart::svg(&series)).unwrap();
}

fn lines(scale: &Scale, samples: &[Sample], counts: &Counts) -> Vec<Line> {
    let (done, failed) = (counts.done.load(Ordering::Relaxed) as f64, counts.failed.load(Ordering::Relaxed) as f64);
    let replaced = counts.replaced.load(Ordering::Relaxed) as f64;
    let minutes = scale.soak.as_secs_f64() / 60.0;
    let mut lines = vec![
        Line::new(&format!("{} minutes of logins, {} waiting", number(minutes), number(scale.waiting as f64)), {
            format!("{} logins, {}/s", number(done), number(done / scale.soak.as_secs_f64()))
        })
        .against(format!("{} of the waiting were replaced by others", number(replaced)))
        .goal(Goal::at_most(failed, 0.0, " failed")),
    ];
    let settled = &samples[samples.len() / WARM_UP..];
    for (at, name) in NAMES.into_iter().enumerate() {
        let points = column(settled, at).points;
        let (first, last) = (points.first().unwrap().1, points.last().unwrap().1);
        lines.push(Line::new(&format!("the same: {name}"), format!("{} at the end", number(last))).against(format!(
            "{} after a third of the time; slope {:+.2} an hour",
            number(first),
            slope(&points) * 60.0
        )));
    }
    lines
}

/// By least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    covariance / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}
