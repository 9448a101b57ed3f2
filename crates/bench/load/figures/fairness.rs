//! Honest logins beside hostile clients that do what each client may do, from many networks, as fast as they can.
//!
//! Each flood is a minute long at most, and comes to a fresh server with its default limits.

use std::io::Result;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::figures::Scale;
use crate::flood::{CONFIRMATIONS, Flood, REGISTRATIONS};
use crate::login::{self, Browser, Login, Terminal};
use crate::stage::{REGISTERED, Stage};
use crate::table::{Row, Sample, Target, number};
use crate::wire::Connection;

/// Honest logins are started at even distances over a time.
const LOGINS: u32 = 40;
const OVER: Duration = Duration::from_secs(12);
/// A login that takes longer counts as failed. A terminal and a person would wait.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The page that refuses a confirmation repeats it after its `Retry-After`, or the person does after this time.
const RETRY_AFTER: Duration = Duration::from_secs(3);

/// What the flood does, its networks and connections, and how many logins are to finish.
const SCENES: [(&str, [usize; 2], f64); 5] = [
    (CONFIRMATIONS, [1, 0], 40.0),
    (CONFIRMATIONS, [60, 150], 40.0),
    (CONFIRMATIONS, [200, 1_000], 24.0),
    (REGISTRATIONS, [1, 0], 40.0),
    (REGISTRATIONS, [2, 150], 40.0),
];

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    for (kind, [networks, connections], finish) in SCENES {
        let connections = connections / scale.calmer;
        let variables: &[_] = if kind == REGISTRATIONS { &REGISTERED } else { &[] };
        let app = if kind == REGISTRATIONS { " without an app" } else { "" };
        let beside = match connections {
            0 => "alone".to_owned(),
            _ => format!("beside {kind} of {networks} networks over {connections} connections"),
        };
        let database = stage.database().await;
        let server = stage.ours(&database, variables).await;
        let flood = Flood::start(server.port, kind, networks, connections);
        let honest = honest(server.port, stage.postiz.port).await;
        let name = format!("{LOGINS} logins{app}, {beside}: finished");
        let note = format!("within {TIMEOUT:?}; the flood got {} answers/s", number(flood.stop()));
        let finished = Sample::of(honest.whole.len() as f64);
        let wait = if kind == REGISTRATIONS { Target::AtMost(300.0) } else { Target::Stated };
        rows.push(Row::new(name, "", [finished], Target::AtLeast(finish)).note(note));
        rows.push(Row::new("the same: opening to token", " ms", [honest.whole], Target::Stated));
        rows.push(Row::new("the same: wait for the confirmation", " ms", [honest.confirmed], wait));
    }
    rows
}

/// Of the logins that finished: the time until the token, and the wait for the answer to the confirmation.
#[derive(Default)]
struct Honest {
    whole: Sample,
    confirmed: Sample,
}

async fn honest(server: u16, postiz: u16) -> Honest {
    let mut tasks = JoinSet::new();
    for _ in 0..LOGINS {
        tasks.spawn(timeout(TIMEOUT, log_in(server, postiz)));
        sleep(OVER / LOGINS).await;
    }
    let mut honest = Honest::default();
    for [whole, confirmed] in tasks.join_all().await.into_iter().flatten().flatten() {
        honest.whole.add_time(whole);
        honest.confirmed.add_time(confirmed);
    }
    honest
}

/// Returns the time until the terminal has its token and the person the last page, and the wait for the confirmation.
async fn log_in(server: u16, postiz: u16) -> Result<[Duration; 2]> {
    let begun = Instant::now();
    let login = login::open(&mut Connection::to(server).await?).await?;
    let terminal = async {
        let mut terminal = Terminal::new((Ipv4Addr::LOCALHOST, server));
        while terminal.poll(&login).await?.is_none() {
            sleep(login.interval).await;
        }
        Ok(())
    };
    let ((), waited) = tokio::try_join!(terminal, approve(server, postiz, &login))?;
    Ok([begun.elapsed(), waited])
}

async fn approve(server: u16, postiz: u16, login: &Login) -> Result<Duration> {
    let (mut server, mut postiz) = (Connection::to(server).await?, Connection::to(postiz).await?);
    let mut browser = Browser::of(login);
    browser.view(&mut server, &login.user_code).await?;
    let (asked, confirmation) = (Instant::now(), browser.confirmation(&login.user_code));
    let confirmed = loop {
        let answer = server.ask(&confirmation).await?;
        if answer.status < 400 {
            break answer;
        }
        let seconds = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
        sleep(seconds.map_or(RETRY_AFTER, Duration::from_secs)).await;
    };
    let waited = asked.elapsed();
    let callback = browser.authorize(&confirmed, &mut postiz).await?;
    login::succeeded(&server.ask(&callback).await?)?;
    Ok(waited)
}
