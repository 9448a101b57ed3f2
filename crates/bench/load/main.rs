//! The load harness: `cargo bench`, or with `-- NAME ..` only some of its figures.
//!
//! It builds the server in release mode, starts a PostgreSQL (and installs one if it is missing), the stand-in for Postiz
//! and replicas, and prints a table. Figures that are compared are measured alternately, in the same run. `-- --quick`
//! only checks in seconds that everything runs; its numbers mean nothing. `-- --server=PATH` measures another build.
//! docs/performance.md has the table of a run.

#![allow(unreachable_pub, reason = "no other crate uses a bench")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is a table")]
#![allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

mod chart;
mod figures;
mod load;
mod login;
mod machine;
mod pgbench;
mod proxy;
mod replica;
mod scale;
mod setup;
mod stage;
mod statements;
mod stats;
mod table;
mod terminals;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use crate::figures::{
    approvals, churn, cli, cost, crowd, disconnects, fairness, faults, herd, logins, node_server, opens, polls, soak,
    start, waiting,
};
use crate::scale::Scale;
use crate::stage::Stage;
use crate::table::Line;
use crate::terminals::TERMINALS;

/// The figures by their names on the command line; the last one restarts PostgreSQL.
const NAMES: [&str; 11] =
    ["start", "polls", "opens", "logins", "cost", "approvals", "cli", "waiting", "disconnects", "fairness", "faults"];
/// They take from minutes to an hour or need the Node server, so they run only if they are named. The last one restarts
/// PostgreSQL.
const LONG: [&str; 5] = ["node", "churn", "soak", "herd", "crowd"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == [stage::STAND_IN] {
        stage::be_the_stand_in();
        return ExitCode::SUCCESS;
    }
    // Ten thousand sockets.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    match &arguments[..] {
        [name, port, connections] if name == fairness::FLOOD => {
            fairness::be_the_flood(port.parse().unwrap(), connections.parse().unwrap()).await;
            return ExitCode::SUCCESS;
        }
        [name, first, count, ports, renew] if name == TERMINALS => {
            let (first, count) = (first.parse().unwrap(), count.parse().unwrap());
            terminals::be_the_terminals(first, count, ports, renew.parse().unwrap()).await;
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let scale = if arguments.iter().any(|argument| argument == "--quick") { Scale::QUICK } else { Scale::FULL };
    // cargo itself adds `--bench`.
    let named: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let is_wanted = |name: &&str| named.iter().any(|named| named == name) || (named.is_empty() && !LONG.contains(name));
    let wanted: Vec<&str> = NAMES.into_iter().chain(LONG).filter(is_wanted).collect();
    if wanted.is_empty() {
        return ExitCode::SUCCESS; // the name of another bench
    }
    setup::postgres();
    let path = |option| arguments.iter().find_map(|argument| argument.strip_prefix(option)).map(PathBuf::from);
    let (server, node_server) = (path("--server=").unwrap_or_else(setup::server), path("--node="));
    let begun = Instant::now();
    let stage = Stage::start(server, node_server);
    println!("\n{}\n\n{}", machine::describe(stage.postgres.bin_dir()), table::HEAD);
    let mut missed = 0;
    for name in wanted {
        let lines = measure(name, &stage, &scale).await;
        for line in &lines {
            println!("{}", line.row());
        }
        missed += lines.iter().filter(|line| line.is_missed()).count();
    }
    println!("\n{missed} missed; {} s in all", begun.elapsed().as_secs());
    ExitCode::SUCCESS
}

async fn measure(name: &str, stage: &Stage, scale: &Scale) -> Vec<Line> {
    match name {
        "start" => start::measure(stage, scale).await,
        "polls" => polls::measure(stage, scale).await,
        "opens" => opens::measure(stage, scale).await,
        "logins" => logins::measure(stage, scale).await,
        "cost" => cost::measure(stage, scale).await,
        "approvals" => approvals::measure(stage, scale).await,
        "cli" => cli::measure(stage, scale).await,
        "waiting" => waiting::measure(stage, scale).await,
        "fairness" => fairness::measure(stage, scale).await,
        "disconnects" => disconnects::measure(stage, scale).await,
        "node" => node_server::measure(stage, scale).await,
        "churn" => churn::measure(stage, scale).await,
        "soak" => soak::measure(stage, scale).await,
        "herd" => herd::measure(stage, scale).await,
        "crowd" => crowd::measure(stage, scale).await,
        _ => faults::measure(stage, scale).await,
    }
}
