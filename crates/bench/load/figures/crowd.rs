//! As many held polls as sockets allow on one replica, and many more over six, with one PostgreSQL.
//!
//! It takes some minutes, so it runs only if it is named.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::figures::approvals::Pair;
use crate::figures::{herd, loss};
use crate::machine;
use crate::replica::{Replica, held, ports, replicas};
use crate::scale::Scale;
use crate::stage::{Database, Stage};
use crate::stats::{Times, count, number};
use crate::table::{Goal, Line};
use crate::terminals::{Count, Counts, Crowd};

const REPLICAS: usize = 6;
/// Terminals that begin to poll in one second: the machine does their part of the work, too.
const ARRIVALS: u32 = 1_500;
/// From the last arrival until all wait.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Replicas with a crowd.
pub struct Waiting {
    pub database: Database,
    pub replicas: Vec<Replica>,
    pub crowd: Crowd,
    pub size: usize,
    /// Polls that are held. The other terminals sleep between two polls.
    held: usize,
    /// Resident memory in megabytes of all replicas, idle and with the crowd.
    memory: [f64; 2],
}

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let mut waiting = Waiting::gather(stage, 1, scale.crowd_on_one).await;
    let mut lines = figures(stage, scale, &mut waiting).await;
    drop(waiting);
    let mut waiting = Waiting::gather(stage, REPLICAS, scale.crowd).await;
    lines.extend(figures(stage, scale, &mut waiting).await);
    lines.extend(loss::measure(stage, scale, waiting).await);
    lines
}

impl Waiting {
    /// All terminals use the first `in_use` replicas.
    pub async fn gather(stage: &Stage, in_use: usize, size: usize) -> Self {
        Self::gather_beside(stage, in_use, 0, size).await
    }

    /// With further replicas that no terminal uses yet.
    pub async fn gather_beside(stage: &Stage, in_use: usize, idle: usize, size: usize) -> Self {
        let database = stage.database().await;
        let replicas = replicas(stage, &database.url, in_use + idle).await;
        let before = memory(&replicas);
        let mut crowd = Crowd::open(size, &ports(&replicas[..in_use]), false).await;
        let arrival = Duration::from_secs(1) * u32::try_from(size).unwrap() / ARRIVALS;
        crowd.arrive(arrival).await;
        sleep(arrival).await;
        timeout(TIMEOUT, herd::until_held(&replicas, &mut crowd, size)).await.expect("all terminals wait");
        let memory = [before, memory(&replicas)];
        let held = held(&replicas).await;
        Self { database, replicas, crowd, size, held, memory }
    }
}

async fn figures(stage: &Stage, scale: &Scale, waiting: &mut Waiting) -> Vec<Line> {
    let quiet = quiet(stage, scale, waiting).await;
    let (number_of_replicas, ports) = (waiting.replicas.len(), ports(&waiting.replicas));
    let name = match number_of_replicas {
        1 => format!("{} logins waiting on one replica", count(waiting.size)),
        _ => format!("{} logins waiting on {number_of_replicas} replicas", count(waiting.size)),
    };
    let [idle, full] = waiting.memory;
    let each = (full - idle) * 1024.0 / waiting.size as f64;
    let mut lines = vec![
        Line::new(&name, format!("all of them; {} polls held at one moment", count(waiting.held)))
            .against(format!("the others sleep between two polls; {}", errors(quiet.counts)))
            .goal(Goal::at_most(number_of_errors(quiet.counts) as f64, 0.0, " errors")),
        Line::new(
            "the same: memory",
            format!("{} MB in all replicas, {} kB for each login", number(full), number(each)),
        )
        .against(format!("idle {} MB", number(idle)))
        .goal(Goal::at_most(each, 17.0, " kB")),
        Line::new("the same: processor of all replicas", format!("{} cores", number(quiet.replicas)))
            .against(format!(
                "{} polls/s; PostgreSQL {} cores, terminals {}",
                number(quiet.polls),
                number(quiet.postgres),
                number(quiet.crowd)
            ))
            .goal(Goal::at_most(quiet.replicas, 0.35, " cores")),
    ];
    let same = approvals(stage, scale, ports[0], ports[0]).await;
    lines.push(approval_line("the same replica, p50", &same, 50, 10.0));
    lines.push(approval_line("the same replica, p99", &same, 99, 50.0));
    if number_of_replicas > 1 {
        let across = approvals(stage, scale, ports[0], ports[1]).await;
        lines.push(approval_line("another replica, p50", &across, 50, 20.0));
        lines.push(approval_line("another replica, p99", &across, 99, 250.0));
    }
    lines
}

fn memory(replicas: &[Replica]) -> f64 {
    replicas.iter().map(|replica| machine::resident(replica.process.pid()).0).sum()
}

/// While polls are only held: cores, and polls a second.
struct Quiet {
    replicas: f64,
    postgres: f64,
    crowd: f64,
    polls: f64,
    counts: Counts,
}

async fn quiet(stage: &Stage, scale: &Scale, waiting: &mut Waiting) -> Quiet {
    let seconds_of = |waiting: &Waiting| {
        let replicas = waiting.replicas.iter().map(|replica| machine::cpu_seconds(replica.process.pid()));
        [replicas.sum(), stage.postgres_seconds(), waiting.crowd.cpu_seconds()]
    };
    let (counted, begun, used) = (waiting.crowd.counts().await, Instant::now(), seconds_of(waiting));
    sleep(scale.crowd_quiet).await;
    let (seconds, now_used) = (begun.elapsed().as_secs_f64(), seconds_of(waiting));
    let counts = waiting.crowd.counts().await;
    let cores = |at: usize| (now_used[at] - used[at]) / seconds;
    Quiet {
        replicas: cores(0),
        postgres: cores(1),
        crowd: cores(2),
        polls: (counts - counted).of(Count::Polls) as f64 / seconds,
        counts,
    }
}

/// Everything that terminals have met beside tokens and polls that were held for their time.
const ERRORS: [(Count, &str); 5] = [
    (Count::Broken, "broken connections"),
    (Count::Refused, "refused connections"),
    (Count::Unreadable, "unreadable answers"),
    (Count::NotHeld, "polls not held"),
    (Count::Failed, "failed logins"),
];

pub fn number_of_errors(counts: Counts) -> usize {
    ERRORS.into_iter().map(|(kind, _)| counts.of(kind)).sum()
}

pub fn errors(counts: Counts) -> String {
    let met = ERRORS.into_iter().filter(|(kind, _)| counts.of(*kind) > 0);
    let met: Vec<String> = met.map(|(kind, name)| format!("{} {name}", count(counts.of(kind)))).collect();
    if met.is_empty() { "no error".to_owned() } else { met.join(", ") }
}

/// Logins beside those that wait: the poll at one replica, the callback at the same or another one.
async fn approvals(stage: &Stage, scale: &Scale, terminal: u16, browser: u16) -> Times {
    let mut pair = Pair::new(terminal, browser, stage.postiz.port).await;
    let mut times = Times::default();
    for _ in 0..scale.logins {
        times.add(pair.deliver().await.unwrap());
    }
    times
}

fn approval_line(place: &str, times: &Times, percent: usize, goal: f64) -> Line {
    Line::new(&format!("the same: approval to token, {place}"), times.p50_and_p99()).goal(Goal::at_most(
        times.percentile(percent),
        goal,
        " ms",
    ))
}
