//! The published CLI from npm: the time from the callback's request to the credentials file.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::scale::Scale;
use crate::stage::Stage;
use crate::stats::{Times, number};
use crate::table::{Goal, Line};
use crate::wire::Connection;
use crate::{login, setup};

/// The CLI sleeps a second before its first poll. After this time that poll is held.
const POLLS_AFTER: Duration = Duration::from_millis(1_500);
const TIMEOUT: Duration = Duration::from_secs(20);

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let figure = "approval to the npm CLI's credentials file";
    let Some((cli, path)) = setup::cli() else {
        return vec![Line::new(figure, "skipped: npm can't install the CLI")];
    };
    let database = stage.database().await;
    let server = stage.replica(&database.url, &[]).await;
    let mut times = Times::default();
    for _ in 0..scale.runs {
        let home = std::env::temp_dir().join(format!("postiz-auth-bench-home-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&home).unwrap();
        times
            .add(timeout(TIMEOUT, run(&cli, &path, &home, server.port, stage.postiz.port)).await.expect("it signs in"));
        std::fs::remove_dir_all(&home).unwrap();
    }
    vec![
        Line::new(figure, format!("median {} ms", number(times.percentile(50))))
            .against(format!("most {} ms, {} runs", number(times.percentile(100)), times.len()))
            .goal(Goal::at_most(times.percentile(50), 300.0, " ms")),
    ]
}

async fn run(cli: &str, path: &str, home: &Path, server: u16, postiz: u16) -> Duration {
    let mut terminal = Command::new("node")
        .arg(cli)
        .arg("auth:login")
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .env("POSTIZ_AUTH_SERVER", format!("http://localhost:{server}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("node");
    let mut lines = BufReader::new(terminal.stdout.take().unwrap()).lines();
    let code = loop {
        let line = lines.next_line().await.unwrap().expect("a user code");
        if let Some(code) = user_code(&line) {
            break code;
        }
    };
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let mut browser = Connection::to(server).await.unwrap();
    let mut postiz = Connection::to(postiz).await.unwrap();
    let approved = login::approve(&mut browser, &mut postiz, &code).await.unwrap();
    sleep(POLLS_AFTER).await;
    let begun = Instant::now();
    browser.send(&approved.callback).await.unwrap();
    let credentials = home.join(".postiz/credentials.json");
    // The CLI creates the file before it writes the content.
    while !std::fs::read_to_string(&credentials).is_ok_and(|text| text.contains("pos_")) {
        sleep(Duration::from_millis(1)).await;
    }
    let time = begun.elapsed();
    terminal.wait().await.unwrap();
    time
}

/// Finds `ABCD-EFGH` in the box that the CLI draws.
fn user_code(line: &str) -> Option<String> {
    let is_code = |word: &&str| {
        word.split_once('-').is_some_and(|(one, two)| {
            [one, two].iter().all(|half| half.len() == 4 && half.bytes().all(|byte| byte.is_ascii_uppercase()))
        })
    };
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').find(is_code).map(str::to_owned)
}
