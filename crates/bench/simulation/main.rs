//! A day of logins over many replicas and one Postgres: `cargo bench --bench simulation`.
//!
//! It simulates logins second by second, grouped by age, and adds up the measured [`costs`]. `-- simulation key=value ..`
//! changes a number of the [`scenario`]. docs/scaling.md has the result, and the conclusions from it.

#![allow(unreachable_pub, reason = "no other crate uses a bench")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is a table")]
#![allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

mod costs;
mod day;
mod scenario;

use std::process::ExitCode;

use crate::day::{Day, Second};
use crate::scenario::Scenario;

fn main() -> ExitCode {
    // cargo adds `--bench`; other names are figures of the load harness.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if !arguments.is_empty() && !arguments.iter().any(|argument| argument == "simulation") {
        return ExitCode::SUCCESS;
    }
    let mut scenario = Scenario::default();
    for (key, value) in arguments.iter().filter_map(|argument| argument.split_once('=')) {
        if !value.parse().is_ok_and(|value| scenario.set(key, value)) {
            eprintln!("{key}={value} is not a number for one of: {}", Scenario::KEYS.join(", "));
            return ExitCode::FAILURE;
        }
    }
    println!("\n{scenario:#?}\n");
    println!(
        "| hour | logins/h | pending | held / replica | polls/s | looked up/s | statements/s | Postgres cores | replica cores | replica MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut day = Day::new(&scenario);
    let mut busiest: Option<Second> = None;
    for hour in 0..24 {
        let mut seconds: Vec<Second> = (0..3600).map(|_| day.next_second()).collect();
        let opened: f64 = seconds.iter().map(|second| second.opened).sum();
        seconds.sort_by(|one, other| one.postgres_cores.total_cmp(&other.postgres_cores));
        if let Some(most) = seconds.pop() {
            println!("| {hour} | {opened:.0} | {}", most.cells());
            if busiest.as_ref().is_none_or(|second| second.postgres_cores < most.postgres_cores) {
                busiest = Some(most);
            }
        }
    }
    if let Some(second) = busiest {
        println!("\nThe busiest second: {second}");
    }
    ExitCode::SUCCESS
}
