//! Waiting terminals: ten thousand on one replica, and a hundred thousand on six with one PostgreSQL.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::figures::Scale;
use crate::machine;
use crate::stage::{MANY_HELD, MOST_HELD, Process, Stage, UNLIMITED};
use crate::table::{Row, Sample, Target, number};
use crate::terminals::{Counts, Terminals};

const REPLICAS: usize = 6;
/// From the last opening until all wait, beside the time in which they arrive.
const TIMEOUT: Duration = Duration::from_mins(3);
const INSPECT_EVERY: Duration = Duration::from_millis(200);

/// What a crowd takes while nothing else happens.
struct Waited {
    counts: Counts,
    /// Terminals whose poll is under way or was held to its end.
    waiting: usize,
    /// The most resident memory in megabytes, and cores.
    memory: f64,
    servers: f64,
    postgres: f64,
    polls_per_second: f64,
}

pub async fn measure_one(stage: &Stage, scale: &Scale) -> Vec<Row> {
    let mut all = Vec::new();
    for program in &stage.programs {
        let database = stage.database().await;
        let server = stage.server(program, &database, &[UNLIMITED, MANY_HELD]).await;
        all.push(wait(stage, scale, &[server], scale.waiting).await);
    }
    let column = |pick: fn(&Waited) -> f64| all.iter().map(move |it| Sample::of(pick(it))).collect::<Vec<_>>();
    let name = |figure| format!("{} waiting terminals: {figure}", number(scale.waiting as f64));
    vec![
        Row::new(name("all held"), "", [Sample::of(all[0].waiting as f64)], Target::AtLeast(scale.waiting as f64))
            .note(all[0].met()),
        Row::new(name("memory"), " MB", column(|it| it.memory), Target::AtMost(220.0)),
        Row::new(name("processor"), " cores", column(|it| it.servers), Target::AtMost(0.1)),
        Row::new(name("PostgreSQL's processor"), " cores", column(|it| it.postgres), Target::AtMostNode(1.0)),
    ]
}

pub async fn measure_six(stage: &Stage, scale: &Scale) -> Vec<Row> {
    let database = stage.database().await;
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(stage.ours(&database, &[UNLIMITED, MOST_HELD]).await);
    }
    let waited = wait(stage, scale, &replicas, scale.crowd).await;
    let name = |figure| format!("{} waiting on six replicas: {figure}", number(scale.crowd as f64));
    vec![
        Row::new(name("all held"), "", [Sample::of(waited.waiting as f64)], Target::AtLeast(scale.crowd as f64))
            .note(waited.met()),
        Row::new(name("processor of all replicas"), " cores", [Sample::of(waited.servers)], Target::AtMost(0.6)),
        Row::new(name("PostgreSQL's processor"), " cores", [Sample::of(waited.postgres)], Target::Stated),
        Row::new(name("memory of all replicas"), " MB", [Sample::of(waited.memory)], Target::Stated),
    ]
}

async fn wait(stage: &Stage, scale: &Scale, servers: &[Process], count: usize) -> Waited {
    let ports: Vec<u16> = servers.iter().map(|server| server.port).collect();
    let mut terminals = Terminals::start(count, &ports, scale.scatter).await;
    let all_wait = async {
        loop {
            let counts = terminals.counts().await;
            if counts.polling + counts.sleeping >= count {
                return;
            }
            sleep(INSPECT_EVERY).await;
        }
    };
    // If they do not, the table says so.
    let _ = timeout(TIMEOUT, all_wait).await;
    let used = || [servers.iter().map(Process::cpu_seconds).sum(), stage.postgres_seconds()];
    let (first, begun, before) = (terminals.counts().await, Instant::now(), used());
    sleep(scale.quiet).await;
    let (seconds, after) = (begun.elapsed().as_secs_f64(), used());
    let counts = terminals.counts().await;
    Waited {
        counts,
        waiting: (counts.polling + counts.sleeping).saturating_sub(counts.not_held + counts.errors),
        memory: servers.iter().map(|server| machine::resident(server.pid()).1).sum(),
        servers: (after[0] - before[0]) / seconds,
        postgres: (after[1] - before[1]) / seconds,
        polls_per_second: (counts.polls - first.polls) as f64 / seconds,
    }
}

impl Waited {
    fn met(&self) -> String {
        let Counts { polling, not_held, errors, .. } = self.counts;
        let polls = number(self.polls_per_second);
        format!(
            "{polling} polls at one moment, the others between two; {polls} polls/s, {not_held} not held, {errors} errors"
        )
    }
}
