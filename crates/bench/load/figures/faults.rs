//! PostgreSQL restarts and a replica is killed while logins are pending: no login is lost.

use std::collections::HashSet;
use std::io::Result;
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
    let codes = logins.iter().map(|login| login.user_code.clone());
    let approved = Person::for_each(codes, others[0].port, stage.postiz.port).await.unwrap();

    let begun = Instant::now();
    let postgres = Arc::clone(&stage.postgres);
    let restart = tokio::task::spawn_blocking(move || {
        postgres.stop_fast().unwrap();
        postgres.start_again().unwrap();
    });
    // All callbacks arrive during the restart.
    let mut people = JoinSet::new();
    let count = approved.len();
    for (number, person) in approved.into_iter().enumerate() {
        people.spawn(come_back(person, Arc::clone(&ports)));
        if number % BATCH == 0 {
            sleep(Duration::from_millis(50)).await;
        }
        if number == count / 2 {
            doomed.kill();
        }
    }
    restart.await.unwrap();
    let again = timeout(TIMEOUT, people.join_all()).await.expect("every person sees that the login has succeeded");
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
        .against(format!("{} people had to approve again", again.iter().sum::<usize>()))
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

/// The page that asks the person to approve again: Postiz has taken the code, and the replica that had it is gone.
const APPROVE_AGAIN: u16 = 502;

/// Does what the pages say, like a person, until the login has succeeded. Returns how often the person approved again.
pub async fn come_back(mut person: Person, ports: Arc<Vec<u16>>) -> usize {
    let mut again = 0;
    for turn in person.number.. {
        match person.call_back(ports[turn % ports.len()]).await {
            Ok(303) => return again,
            Ok(APPROVE_AGAIN) => again += usize::from(person.approve(ports[turn % ports.len()]).await.is_ok()),
            Ok(_) | Err(_) => {}
        }
        sleep(INTERVAL).await;
    }
    again
}

/// A person with a login.
pub struct Person {
    number: usize,
    user_code: String,
    postiz: u16,
    approved: Approved,
}

impl Person {
    /// A person for each code, who has pressed *Authorize*.
    pub async fn for_each(codes: impl IntoIterator<Item = String>, server: u16, postiz: u16) -> Result<Vec<Self>> {
        let (mut browser, mut there) = (Connection::to(server).await?, Connection::to(postiz).await?);
        let mut people = Vec::new();
        for (number, user_code) in codes.into_iter().enumerate() {
            let approved = login::approve(&mut browser, &mut there, &user_code).await?;
            people.push(Self { number, user_code, postiz, approved });
        }
        Ok(people)
    }

    async fn call_back(&self, server: u16) -> Result<u16> {
        Connection::to(server).await?.status_of(&self.approved.callback).await
    }

    async fn approve(&mut self, server: u16) -> Result<()> {
        let (mut browser, mut postiz) = (Connection::to(server).await?, Connection::to(self.postiz).await?);
        self.approved = login::approve(&mut browser, &mut postiz, &self.user_code).await?;
        Ok(())
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
