//! Thousands of held polls on one replica.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::figures::approvals::Pair;
use crate::load::open_logins;
use crate::login::{self, Login};
use crate::machine;
use crate::scale::Scale;
use crate::stage::{Database, POOL_SIZE, Process, Stage};
use crate::statements::{self, DECISION_FEED, Executed, LOOK_UP, NOTE_POLL};
use crate::stats::{Times, number};
use crate::table::{Goal, Line};
use crate::wire::{self, Connection};

/// Between two polls of the CLI.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between two batches of terminals, so that they do not all start at once.
const BATCH_PAUSE: Duration = Duration::from_millis(10);
const BATCH: usize = 50;
/// With the health check's own.
const CONNECTIONS: usize = POOL_SIZE + 1;

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let database = stage.database().await;
    let crowded = stage.replica(&database.url, &[]).await;
    let empty = stage.replica(&database.url, &[]).await;
    let idle = machine::resident(crowded.pid()).0;
    let polls = Arc::new(AtomicU64::new(0));
    let crowd = gather(&crowded, open_logins(crowded.port, scale.waiting).await, &polls).await;
    let arrived = machine::descriptors(crowded.pid());
    let memory = machine::resident(crowded.pid()).0;
    let quiet = quiet(scale, &database, &crowded, &polls).await;

    let (mut among, mut apart) = (Times::default(), Times::default());
    let mut in_crowd = Pair::new(crowded.port, crowded.port, stage.postiz.port).await;
    let mut alone = Pair::new(empty.port, empty.port, stage.postiz.port).await;
    for _ in 0..scale.logins {
        among.add(in_crowd.deliver().await.unwrap());
        apart.add(alone.deliver().await.unwrap());
    }
    let most = machine::resident(crowded.pid()).1;
    assert_eq!(crowd.len(), scale.waiting, "a terminal has stopped");
    drop(crowd);

    let each = (memory - idle) * 1024.0 / scale.waiting as f64;
    let waiting = number(scale.waiting as f64);
    let ratio = among.percentile(99) / apart.percentile(99);
    let mut lines = vec![
        Line::new(&format!("{waiting} held polls: memory"), format!("{} MB with all of them", number(memory)))
            .against(format!(
                "idle {} MB, so {} kB for each; at most {} MB, {arrived} descriptors",
                number(idle),
                number(each),
                number(most)
            ))
            .goal(Goal::at_most(most, 200.0, " MB")),
    ];
    lines.extend(quiet.lines());
    lines.push(
        Line::new("approvals delivered meanwhile", among.p50_and_p99())
            .against(format!("without them: {}", apart.p50_and_p99()))
            .goal(Goal::at_most(ratio, 2.0, " × p99")),
    );
    lines
}

/// Starts a terminal for each login, which polls without end.
async fn gather(server: &Process, logins: Vec<Login>, polls: &Arc<AtomicU64>) -> JoinSet<()> {
    let mut crowd = JoinSet::new();
    for (number, login) in logins.into_iter().enumerate() {
        let (port, polls) = (server.port, Arc::clone(polls));
        let poll = wire::from_network(number, &login.poll);
        crowd.spawn(async move {
            let mut connection = Connection::to(port).await.unwrap();
            loop {
                polls.fetch_add(1, Ordering::Relaxed);
                let answer = connection.ask(&poll).await.unwrap();
                assert_eq!(login::token(&answer).unwrap(), None);
                sleep(INTERVAL).await;
            }
        });
        if number % BATCH == 0 {
            sleep(BATCH_PAUSE).await;
        }
    }
    sleep(Duration::from_millis(500)).await;
    crowd
}

/// Rates while polls are only held.
struct Quiet {
    cores: f64,
    feed: f64,
    look_ups: f64,
    polls: f64,
    poll_times: f64,
    connections: f64,
}

async fn quiet(scale: &Scale, database: &Database, server: &Process, polls: &AtomicU64) -> Quiet {
    statements::reset(database).await;
    let (begun, cpu, sent) = (Instant::now(), machine::cpu_seconds(server.pid()), polls.load(Ordering::Relaxed));
    sleep(scale.quiet).await;
    let seconds = begun.elapsed().as_secs_f64();
    let cores = (machine::cpu_seconds(server.pid()) - cpu) / seconds;
    let executed = Executed::read(database).await;
    let calls = |name| executed.calls(name) / seconds;
    Quiet {
        cores,
        polls: (polls.load(Ordering::Relaxed) - sent) as f64 / seconds,
        feed: calls(DECISION_FEED),
        look_ups: calls(LOOK_UP),
        poll_times: calls(NOTE_POLL),
        // Two replicas, and this program's own connection.
        connections: database
            .number(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await,
    }
}

impl Quiet {
    fn lines(&self) -> Vec<Line> {
        vec![
            Line::new("the same: processor", format!("{} % of a core", number(self.cores * 100.0)))
                .against(format!("{} polls/s", number(self.polls)))
                .goal(Goal::at_most(self.cores * 100.0, 5.0, " %")),
            Line::new("the same: decision feed", format!("{} statements/s", number(self.feed)))
                .goal(Goal::at_most(self.feed, 10.0, "/s")),
            Line::new("the same: look-ups for each poll", format!("{} statements/s", number(self.look_ups)))
                .against(format!("updates of `polled_at`: {} statements/s", number(self.poll_times)))
                .goal(Goal::at_most(self.look_ups / self.polls, 1.0, "")),
            Line::new("the same: connections of both replicas", number(self.connections)).goal(Goal::at_most(
                self.connections,
                2.0 * CONNECTIONS as f64,
                "",
            )),
        ]
    }
}
