//! The published CLI from npm: the time from the callback's request to the credentials file.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::figures::Scale;
use crate::login::Browser;
use crate::setup;
use crate::stage::{Stage, UNLIMITED};
use crate::table::{Row, Sample, Target};
use crate::wire::Connection;

/// The CLI sleeps for its interval before its first poll: a second if polls are held, else five.
const POLLS_AFTER: Duration = Duration::from_millis(1_500);
const TIMEOUT: Duration = Duration::from_secs(30);

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Row> {
    let figures = ["approval to the CLI's credentials file, same replica", "the same, other replica"];
    let Some((cli, path)) = setup::cli() else {
        let row = |figure: &str| Row::new(figure, " ms", [], Target::AtMost(100.0));
        return figures.map(|figure| row(figure).note("npm can't install the CLI")).into();
    };
    let mut columns = [Vec::new(), Vec::new()];
    for program in &stage.programs {
        let database = stage.database().await;
        let one = stage.server(program, &database, &[UNLIMITED]).await;
        let another = stage.server(program, &database, &[UNLIMITED]).await;
        for (column, browser) in columns.iter_mut().zip([one.port, another.port]) {
            let mut times = Sample::default();
            for _ in 0..scale.runs {
                let signed_in = sign_in(stage, [&cli, &path], one.port, browser);
                times.add_time(timeout(TIMEOUT, signed_in).await.expect("it signs in"));
            }
            column.push(times);
        }
    }
    let rows = figures.into_iter().zip(columns);
    rows.map(|(figure, columns)| Row::new(figure, " ms", columns, Target::AtMost(100.0))).collect()
}

async fn sign_in(stage: &Stage, [cli, path]: [&str; 2], terminal: u16, browser: u16) -> Duration {
    let home = stage.empty_directory();
    let mut running = Command::new("node")
        .args([cli, "auth:login"])
        .env_clear()
        .env("PATH", path)
        .env("HOME", &home)
        .env("POSTIZ_AUTH_SERVER", format!("http://localhost:{terminal}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("node");
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    let code = loop {
        let line = lines.next_line().await.unwrap().expect("a user code");
        if let Some(code) = user_code(&line) {
            break code;
        }
    };
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let (mut server, mut postiz) =
        (Connection::to(browser).await.unwrap(), Connection::to(stage.postiz.port).await.unwrap());
    let callback = Browser::default().approve(&mut server, &mut postiz, &code).await.unwrap();
    sleep(POLLS_AFTER.mul_f64(rand::random_range(1.0..4.0))).await;
    let begun = Instant::now();
    server.send(&callback).await.unwrap();
    wait_for_credentials(&home).await;
    let time = begun.elapsed();
    running.wait().await.unwrap();
    time
}

/// The CLI creates the file before it writes the content.
async fn wait_for_credentials(home: &Path) {
    let credentials = home.join(".postiz/credentials.json");
    while !std::fs::read_to_string(&credentials).is_ok_and(|text| text.contains("pos_")) {
        sleep(Duration::from_millis(1)).await;
    }
}

/// Finds `ABCD-EFGH` in the box that the CLI draws. The Node server's codes have digits, too.
fn user_code(line: &str) -> Option<String> {
    let is_half = |half: &str| half.len() == 4 && half.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit());
    let is_code = |word: &&str| word.split_once('-').is_some_and(|(one, two)| is_half(one) && is_half(two));
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').find(is_code).map(str::to_owned)
}
