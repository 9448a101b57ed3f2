//! PostgreSQL restarts and a replica is killed while logins are pending: no login is lost.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::load::open_logins;
use crate::login::{self, Approved, Login};
use crate::scale::Scale;
use crate::stage::Stage;
use crate::stats::{Times, number};
use crate::table::{Goal, Line};
use crate::wire::{self, Connection};

/// Between two polls of the CLI, and between two reloads of a person.
const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_mins(1);
/// Callbacks at the same time.
const BATCH: usize = 50;

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let database = stage.database().await;
    let mut doomed = stage.replica(&database.url, &[]).await;
    let others = [stage.replica(&database.url, &[]).await, stage.replica(&database.url, &[]).await];
    let ports: Arc<Vec<u16>> = Arc::new([doomed.port, others[0].port, others[1].port].into());

    let logins = open_logins(others[0].port, scale.failing).await;
    let mut terminals = JoinSet::new();
    for (number, login) in logins.iter().enumerate() {
        terminals.spawn(wait_for_token(login.clone(), Arc::clone(&ports), number));
    }
    let mut browser = Connection::to(others[0].port).await.unwrap();
    let mut postiz = Connection::to(stage.postiz.port).await.unwrap();
    let mut approved = Vec::new();
    for login in &logins {
        approved.push(login::approve(&mut browser, &mut postiz, &login.user_code).await.unwrap());
    }

    let begun = Instant::now();
    let postgres = Arc::clone(&stage.postgres);
    let restart = tokio::task::spawn_blocking(move || {
        postgres.stop_fast().unwrap();
        postgres.start_again().unwrap();
    });
    // All callbacks arrive during the restart.
    let mut people = JoinSet::new();
    let count = approved.len();
    for (number, approved) in approved.into_iter().enumerate() {
        people.spawn(come_back(approved, Arc::clone(&ports), number));
        if number % BATCH == 0 {
            sleep(Duration::from_millis(50)).await;
        }
        if number == count / 2 {
            doomed.kill();
        }
    }
    restart.await.unwrap();
    timeout(TIMEOUT, people.join_all()).await.expect("every person sees that the login has succeeded");
    let done = timeout(TIMEOUT, terminals.join_all()).await.expect("every terminal has its token");
    let mut times = Times::default();
    for (_, at) in &done {
        times.add(at.duration_since(begun));
    }
    let tokens: HashSet<String> = done.into_iter().map(|(token, _)| token).collect();
    let live = live(stage, &tokens).await;
    vec![
        Line::new(
            &format!("{count} logins pending, PostgreSQL restarts, a replica is killed, all are approved meanwhile"),
            format!(
                "{live} valid tokens; the last terminal has its token after {} s",
                number(times.percentile(100) / 1000.0)
            ),
        )
        .goal(Goal::at_least(live as f64, count as f64, " tokens")),
    ]
}

/// Polls like the CLI: after any failure it polls again.
async fn wait_for_token(login: Login, ports: Arc<Vec<u16>>, number: usize) -> (String, Instant) {
    let mut turn = number;
    loop {
        if let Ok(mut connection) = Connection::to(ports[turn % ports.len()]).await {
            while let Ok(answer) = connection.ask(&login.poll).await {
                if let Some(token) = login::token(&answer).unwrap() {
                    return (token, Instant::now());
                }
                sleep(INTERVAL).await;
            }
        }
        turn += 1;
        sleep(INTERVAL).await;
    }
}

/// Reloads the callback like a person, until it succeeds.
pub async fn come_back(approved: Approved, ports: Arc<Vec<u16>>, number: usize) {
    for turn in number.. {
        if let Ok(mut connection) = Connection::to(ports[turn % ports.len()]).await
            && connection.status_of(&approved.callback).await.is_ok_and(|status| status == 303)
        {
            return;
        }
        sleep(INTERVAL).await;
    }
}

/// The number of tokens that Postiz accepts.
pub async fn live(stage: &Stage, tokens: &HashSet<String>) -> usize {
    let mut postiz = Connection::to(stage.postiz.port).await.unwrap();
    let mut live = 0;
    for token in tokens {
        let request = wire::get_as("/api/public/v1/integrations", token);
        live += usize::from(postiz.status_of(&request).await.unwrap() == 200);
    }
    live
}
