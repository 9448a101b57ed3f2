//! `check`: what is right and wrong with the set-up.

use std::process::ExitCode;

use crate::check::{self, Report, Verdict};
use crate::commands::{complain, say};
use crate::config::{Config, Problems};

/// Looks at everything that the environment describes, and prints it: text, or JSON for machines.
///
/// Exit codes: 0 where nothing is wrong, 1 where something is, 78 where a variable can't be used.
pub async fn run(json: bool) -> ExitCode {
    let (report, code) = match Config::from_env() {
        Err(problems) => (check::problems(&problems), Problems::EXIT_CODE),
        Ok(config) => match check::run(&config).await {
            Ok(report) => {
                let code = u8::from(report.verdict == Verdict::Wrong);
                (report, code)
            }
            Err(error) => {
                complain(&format!("{error}\n"));
                return ExitCode::FAILURE;
            }
        },
    };
    say(&if json { to_json(&report) } else { report.to_string() });
    ExitCode::from(code)
}

fn to_json(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    text
}
