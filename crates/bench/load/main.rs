//! The benchmark: `cargo bench`, or with `-- NAME ..` only some of its figures.
//!
//! It builds the server in release mode, starts a PostgreSQL (and installs one if it is missing), the stand-in for Postiz
//! and replicas, and prints a table with the target of each figure. With `--node=PATH` the Node server is measured in
//! turns with this one, in the same run. PATH is the file `dist/index.js` of the Node server. Its source is in the
//! directory `server` of <https://github.com/gitroomhq/postiz-agent>; `npm install` and `npx tsc` there make the file.
//! Without it the table has no ratios, and says so.
//!
//! `--scatter=MS` delays every poll of waiting terminals by up to MS milliseconds, as a network does.
//!
//! `--server=PATH` measures another build. `--quick` only checks in a minute that everything runs; its numbers mean
//! nothing. docs/performance.md has the table of a run.
//!
//! All traffic stays on the loopback. Each figure is bounded in time, and all processes end with this one.

#![allow(unreachable_pub, reason = "no other crate uses a bench")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is a table")]
#![allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

mod figures;
mod flood;
mod login;
mod machine;
mod setup;
mod stage;
mod table;
mod terminals;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::figures::{Scale, cli, crowd, fairness, logins, memory, times};
use crate::stage::Stage;
use crate::table::Row;

const NAMES: [&str; 6] = ["logins", "approvals", "cli", "waiting", "memory", "start"];
/// They take minutes, so they run only if they are named.
const ONLY_IF_NAMED: [&str; 2] = ["fairness", "crowd"];

/// It ends after this time in any case.
const LIFETIME: Duration = Duration::from_hours(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    match arguments.split_first() {
        Some((role, [])) if role == stage::STAND_IN => stage::be_the_stand_in().await,
        Some((role, rest)) if role == flood::FLOOD => flood::be_the_flood(rest).await,
        Some((role, rest)) if role == terminals::TERMINALS => terminals::be_the_terminals(rest).await,
        _ => return interruptible(&arguments).await,
    }
    ExitCode::SUCCESS
}

/// Ends the processes of the stage, also after a signal.
async fn interruptible(arguments: &[String]) -> ExitCode {
    let mut terminated = signal(SignalKind::terminate()).unwrap();
    tokio::select! {
        code = bench(arguments) => code,
        _ = tokio::signal::ctrl_c() => ExitCode::FAILURE,
        _ = terminated.recv() => ExitCode::FAILURE,
        () = sleep(LIFETIME) => panic!("not done after {LIFETIME:?}"),
    }
}

async fn bench(arguments: &[String]) -> ExitCode {
    // cargo itself adds `--bench`.
    let named: Vec<&str> = arguments.iter().map(String::as_str).filter(|name| !name.starts_with("--")).collect();
    if let Some(unknown) = named.iter().find(|name| !NAMES.contains(name) && !ONLY_IF_NAMED.contains(name)) {
        eprintln!("no figure is called {unknown}; there are {} and {}", NAMES.join(", "), ONLY_IF_NAMED.join(", "));
        return ExitCode::FAILURE;
    }
    let mut scale = if arguments.iter().any(|argument| argument == "--quick") { Scale::QUICK } else { Scale::FULL };
    let value = |option| arguments.iter().find_map(|argument| argument.strip_prefix(option));
    scale.scatter = value("--scatter=").map_or(scale.scatter, |time| Duration::from_millis(time.parse().unwrap()));
    let path = |option| value(option).map(PathBuf::from);
    let node_server = match path("--node=").map(setup::node_server) {
        Some(Err(why)) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
        Some(Ok(found)) => Some(found),
        None => None,
    };
    setup::postgres();
    let server = path("--server=").unwrap_or_else(setup::server);
    let begun = Instant::now();
    let stage = Stage::start(server, node_server);
    println!("\n{}", machine::describe(stage.postgres.bin_dir()));
    if stage.programs.len() == 1 {
        println!("Without the Node server (--node=PATH), so no ratio is measured.");
    }
    println!("\n{}", table::HEAD);
    let (mut missed, mut unmeasured) = (0, 0);
    let wanted = if named.is_empty() { NAMES.to_vec() } else { named };
    for name in wanted {
        for row in measure(name, &stage, &scale).await {
            println!("{row}");
            missed += usize::from(row.verdict() == Some(false));
            unmeasured += usize::from(row.is_unmeasured());
        }
    }
    let time = Duration::from_secs(begun.elapsed().as_secs());
    println!("\n{missed} targets missed, {unmeasured} not measured; {time:?}");
    ExitCode::SUCCESS
}

async fn measure(name: &str, stage: &Stage, scale: &Scale) -> Vec<Row> {
    match name {
        "logins" => logins::measure(stage, scale).await,
        "approvals" => times::approvals(stage, scale).await,
        "cli" => cli::measure(stage, scale).await,
        "waiting" => crowd::measure_one(stage, scale).await,
        "memory" => memory::measure(stage, scale).await,
        "start" => times::start(stage, scale).await,
        "fairness" => fairness::measure(stage, scale).await,
        _ => crowd::measure_six(stage, scale).await,
    }
}
