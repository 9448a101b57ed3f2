//! `check`: whether the set-up works.

use std::process::ExitCode;

use crate::check::{self, Report, Verdict};
use crate::commands::output::{complain, say};
use crate::config::{Config, Problems};
use crate::error_chain::error_chain;

pub(super) const HELP: &str = "\
Reads the same variables as the server, changes nothing and prints no secret.
Exit codes: 0 nothing failed (there may be warnings), 1 something failed,
78 a variable can't be used.";

pub(super) async fn run(json: bool) -> ExitCode {
    let (report, code) = match Config::from_env() {
        Err(problems) => (check::problems(&problems), Problems::EXIT_CODE),
        Ok(config) => match check::run(&config).await {
            Ok(report) => {
                let code = u8::from(report.verdict == Verdict::Fail);
                (report, code)
            }
            Err(error) => {
                complain(&format!("{}\n", error_chain(&error)));
                return ExitCode::FAILURE;
            }
        },
    };
    say(&if json { to_json(&report) } else { report.to_text(textwrap::termwidth()) });
    ExitCode::from(code)
}

fn to_json(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    text
}
