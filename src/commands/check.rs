//! `check` and `healthcheck`: whether the set-up works, and whether the server on this machine is alive.

use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::check::{self, Report, Verdict};
use crate::commands::output::{complain, say};
use crate::config::{Config, Problems};
use crate::log::error_chain;

pub(super) const HELP: &str = "\
Reads the same variables as the server, and prints no secret. Opens a login
through SERVER_URL and deletes it. Without an app, registers a client at Postiz
that nobody uses.
Exit codes: 0 nothing failed (there may be warnings), 1 something failed,
78 a variable can't be used.";

const HEALTH_TIMEOUT: Duration = Duration::from_secs(4);

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

/// For container engines, because the image has no shell and no curl. Asks `/health/live`, which does not depend on the
/// database: restarting the server would not bring a database back.
pub(super) async fn health() -> ExitCode {
    let port = Config::port_from_env();
    match timeout(HEALTH_TIMEOUT, is_alive(port)).await {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        _ => {
            complain(&format!("no healthy server on port {port}\n"));
            ExitCode::FAILURE
        }
    }
}

async fn is_alive(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("localhost", port)).await?;
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(1024).read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}
