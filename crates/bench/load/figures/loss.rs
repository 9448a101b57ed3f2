//! PostgreSQL restarts and a replica is killed while a crowd waits and people approve some of its logins.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::figures::crowd::{Waiting, errors};
use crate::figures::faults::Person;
use crate::figures::{faults, herd};
use crate::replica::{Replica, ports};
use crate::scale::Scale;
use crate::stage::Stage;
use crate::stats::{count, number};
use crate::table::{Goal, Line};
use crate::terminals::Count;

/// For everything that has to happen after the failures.
const TIMEOUT: Duration = Duration::from_mins(3);
/// Callbacks at the same time.
const BATCH: usize = 50;

/// The first replica is killed. Another one is started in its place and gets its terminals, because the load balancer sends
/// them to the replica with the fewest connections.
pub async fn measure(stage: &Stage, scale: &Scale, waiting: Waiting) -> Vec<Line> {
    let Waiting { database, mut replicas, mut crowd, size, .. } = waiting;
    let codes = crowd.codes(scale.crowd_approved).await;
    let approved = Person::for_each(codes, replicas[1].port(), stage.postiz.port).await.unwrap();
    let people_count = approved.len();
    let counted = crowd.counts().await;

    let begun = Instant::now();
    let postgres = Arc::clone(&stage.postgres);
    let restart = tokio::task::spawn_blocking(move || {
        postgres.stop_fast().unwrap();
        postgres.start_again().unwrap();
    });
    let browsers = Arc::new(ports(&replicas));
    let mut people = JoinSet::new();
    for (number, person) in approved.into_iter().enumerate() {
        people.spawn(faults::come_back(person, Arc::clone(&browsers)));
        if number % BATCH == 0 {
            sleep(Duration::from_millis(50)).await;
        }
        if number == people_count / 2 {
            replicas[0].process.kill();
            replicas[0] = Replica::start(stage, &database.url);
            crowd.route(&ports(&replicas)).await;
        }
    }
    restart.await.unwrap();
    replicas[0].process.healthy().await;
    let again = timeout(TIMEOUT, people.join_all()).await.expect("every person sees that the login has succeeded");
    let delivered = timeout(TIMEOUT, async {
        while crowd.counts().await.of(Count::Tokens) < people_count {
            sleep(Duration::from_millis(100)).await;
        }
        begun.elapsed()
    });
    let delivered = delivered.await.expect("every approved login has its token");
    timeout(TIMEOUT, herd::until_held(&replicas, &mut crowd, size - people_count))
        .await
        .expect("the other logins wait again");
    let held_again = begun.elapsed();
    let tokens = crowd.tokens().await;
    let live = faults::live(stage, &tokens).await;
    let met = crowd.counts().await - counted;
    vec![
        Line::new(
            &format!(
                "the same: PostgreSQL restarts, a replica is killed, {} are approved meanwhile",
                count(people_count)
            ),
            format!("{} valid tokens; the last one delivered after {} s", count(live), seconds(delivered)),
        )
        .against(format!("{} people had to approve again", again.iter().sum::<usize>()))
        .goal(Goal::at_least(live as f64, people_count as f64, " tokens")),
        Line::new(
            "the same: the other logins",
            format!("{} wait, all of them again after {} s", count(size - people_count), seconds(held_again)),
        )
        .against(errors(met))
        .goal(Goal::at_most(met.of(Count::Failed) as f64, 0.0, " failed")),
    ]
}

fn seconds(time: Duration) -> String {
    number(time.as_secs_f64())
}
