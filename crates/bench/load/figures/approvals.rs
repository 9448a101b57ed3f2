//! The time from the callback's request to the terminal's token.

use std::io::Result;
use std::time::{Duration, Instant};

use crate::login;
use crate::scale::Scale;
use crate::stage::Stage;
use crate::stats::Times;
use crate::table::{Goal, Line};
use crate::wire::Connection;

/// From the confirmation to the callback: less than any person needs. The poll is held by then, and the replica that
/// holds it knows that a decision is near.
const AT_POSTIZ: Duration = Duration::from_millis(200);

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let database = stage.database().await;
    let (one, other) = (stage.replica(&database.url, &[]).await, stage.replica(&database.url, &[]).await);
    let third = stage.replica(&database.url, &[]).await;
    let (mut same, mut across) = (Times::default(), Times::default());
    let mut here = Pair::new(one.port, one.port, stage.postiz.port).await;
    let mut there = [
        Pair::new(one.port, other.port, stage.postiz.port).await,
        Pair::new(one.port, third.port, stage.postiz.port).await,
    ];
    for round in 0..scale.logins {
        same.add(here.deliver().await.unwrap());
        across.add(there[round % 2].deliver().await.unwrap());
    }
    let lines = |figure: &str, times: &Times, p50: f64, p99: f64| {
        [
            Line::new(&format!("approval to token, {figure}, p50"), times.p50_and_p99()).goal(Goal::at_most(
                times.percentile(50),
                p50,
                " ms",
            )),
            Line::new(&format!("approval to token, {figure}, p99"), format!("{} logins", times.len()))
                .goal(Goal::at_most(times.percentile(99), p99, " ms")),
        ]
    };
    [lines("same replica", &same, 10.0, 50.0), lines("poll on A, callback on B and C", &across, 20.0, 250.0)].concat()
}

/// The terminal's connection to one replica, and the browser's to the same or another one.
pub struct Pair {
    terminal: Connection,
    browser: Connection,
    postiz: Connection,
}

impl Pair {
    pub async fn new(terminal: u16, browser: u16, postiz: u16) -> Self {
        let to = async |port| Connection::to(port).await.unwrap();
        Self { terminal: to(terminal).await, browser: to(browser).await, postiz: to(postiz).await }
    }

    /// One login. Returns the time from the callback to the token.
    pub async fn deliver(&mut self) -> Result<Duration> {
        let login = login::open(&mut self.terminal).await?;
        self.terminal.send(&login.poll).await?;
        let approved = login::approve(&mut self.browser, &mut self.postiz, &login.user_code).await?;
        tokio::time::sleep(AT_POSTIZ).await;
        let begun = Instant::now();
        let terminal = async {
            let answer = self.terminal.answer().await?;
            Ok((login::token(&answer)?, begun.elapsed()))
        };
        let ((token, time), page) = tokio::try_join!(terminal, self.browser.ask(&approved.callback))?;
        login::expect(page, 303)?;
        assert!(token.is_some(), "the poll was not held");
        Ok(time)
    }
}
