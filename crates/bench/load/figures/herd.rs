//! A replica with many held polls is killed, and all of its terminals poll again after a second.
//!
//! It takes some minutes, so it runs only if it is named.

use std::time::{Duration, Instant, SystemTime};

use tokio::time::{sleep, timeout};

use crate::figures::crowd::{Waiting, errors, number_of_errors};
use crate::replica::{Replica, held, ports};
use crate::scale::Scale;
use crate::stage::{Database, Stage};
use crate::statements::{self, Executed, LOOK_UP};
use crate::stats::{count, number};
use crate::table::{Goal, Line};
use crate::terminals::{Count, Crowd};

/// From one poll of a terminal to its next: held for 20 s, and a second between them.
const PERIOD: Duration = Duration::from_secs(21);
const TIMEOUT: Duration = Duration::from_mins(2);
const INSPECT_EVERY: Duration = Duration::from_millis(50);

/// Where the terminals find a replica again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    TwoOthers,
    /// One that starts when the other is killed, as a supervisor starts it.
    Restarted,
}

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let mut lines = lose(stage, scale, To::TwoOthers).await;
    lines.extend(lose(stage, scale, To::Restarted).await);
    lines
}

async fn lose(stage: &Stage, scale: &Scale, to: To) -> Vec<Line> {
    let others = if to == To::TwoOthers { 2 } else { 0 };
    let Waiting { database, mut replicas, mut crowd, size, .. } =
        Waiting::gather_beside(stage, 1, others, scale.herd).await;
    statements::reset(&database).await;
    let calm_since = unix_seconds();
    let calm = look_ups(&database, scale.herd_watched).await;
    let calm_lump = lump(&mut crowd, calm_since, scale).await;

    let counted = crowd.counts().await;
    statements::reset(&database).await;
    let (begun, lost_at, postgres) = (Instant::now(), unix_seconds(), stage.postgres_seconds());
    replicas.remove(0).process.kill();
    if to == To::Restarted {
        replicas.push(Replica::start(stage, &database.url));
    }
    crowd.route(&ports(&replicas)).await;
    for replica in &replicas {
        replica.process.healthy().await;
    }
    let recovery = async {
        until_held(&replicas, &mut crowd, size).await;
        (begun.elapsed(), stage.postgres_seconds() - postgres, Executed::read(&database).await)
    };
    let watched = scale.herd_watched + period(scale);
    let (herd, recovery) = tokio::join!(look_ups(&database, watched), timeout(TIMEOUT, recovery));
    let (time, postgres, executed) = recovery.expect("all logins wait again");
    let met = crowd.counts().await - counted;
    let later_lump = lump(&mut crowd, lost_at + scale.herd_watched.as_secs(), scale).await;

    let name = match to {
        To::TwoOthers => "two others take its terminals",
        To::Restarted => "a new one takes its terminals",
    };
    let others = number_of_errors(met) - met.of(Count::Broken);
    vec![
        Line::new(
            &format!("a replica with {} held polls is killed, {name}", count(size)),
            format!("all held again after {} s", number(time.as_secs_f64())),
        )
        .against(errors(met))
        .goal(Goal::at_most(others as f64, 0.0, " errors but broken connections")),
        Line::new(
            "the same: PostgreSQL until then",
            format!("{} s of a core, {} statements", number(postgres), number(executed.all_calls())),
        )
        .against(format!(
            "{} logins looked up in {} statements",
            number(executed.rows(LOOK_UP)),
            number(executed.calls(LOOK_UP))
        )),
        Line::new("the same: logins looked up in one second, at most", number(herd)).against(format!(
            "{} in the {} s before",
            number(calm),
            scale.herd_watched.as_secs()
        )),
        Line::new(
            &format!("the same: polls of one period in one second, {} s later", scale.herd_watched.as_secs()),
            format!("at most {} %", number(later_lump * 100.0)),
        )
        .against(format!("before: {} %", number(calm_lump * 100.0))),
    ]
}

/// The largest number of logins that were looked up in one second.
async fn look_ups(database: &Database, time: Duration) -> f64 {
    let begun = Instant::now();
    let (mut most, mut before) = (0.0_f64, Executed::read(database).await.rows(LOOK_UP));
    while begun.elapsed() < time {
        sleep(Duration::from_secs(1)).await;
        let now = Executed::read(database).await.rows(LOOK_UP);
        most = most.max(now - before);
        before = now;
    }
    most
}

/// Each terminal is held, or sleeps after a poll that was held.
pub async fn until_held(replicas: &[Replica], crowd: &mut Crowd, size: usize) {
    while held(replicas).await + crowd.counts().await.of(Count::Sleeping) < size {
        sleep(INSPECT_EVERY).await;
    }
}

/// The largest share of the polls of one period that was sent in one second.
async fn lump(crowd: &mut Crowd, since: u64, scale: &Scale) -> f64 {
    let polls = crowd.polls().await;
    let period: Vec<usize> = polls.range(since..since + period(scale).as_secs()).map(|(_, polls)| *polls).collect();
    *period.iter().max().unwrap_or(&0) as f64 / period.iter().sum::<usize>().max(1) as f64
}

/// Shorter in a quick run.
fn period(scale: &Scale) -> Duration {
    PERIOD.min(scale.herd_watched)
}

fn unix_seconds() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}
