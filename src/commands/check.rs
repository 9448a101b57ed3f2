//! `check` and `healthcheck`: whether the set-up works, and whether the server on this machine is alive.

use std::error::Error;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::check::{self, Verdict};
use crate::config::{Config, Problems};

pub(super) const HELP: &str = "\
Reads the same variables as the server, and prints no secret. Opens a login
through SERVER_URL and deletes it. Without an app, registers a client at Postiz
that nobody uses.
Exit codes: 0 nothing failed (warnings and skipped checks do not count),
1 something failed, 78 a variable can't be used.";

const HEALTH_TIMEOUT: Duration = Duration::from_secs(4);

pub(super) async fn run(json: bool) -> Result<(u8, String), Box<dyn Error>> {
    let (report, code) = match Config::from_env() {
        Err(problems) => (check::problems(&problems), Problems::EXIT_CODE),
        Ok(config) => {
            let report = check::run(&config).await?;
            let code = u8::from(report.verdict == Verdict::Fail);
            (report, code)
        }
    };
    let text = if json { serde_json::to_string_pretty(&report)? + "\n" } else { report.to_text(textwrap::termwidth()) };
    Ok((code, text))
}

/// For container engines, because the image has no shell and no curl. Asks `/health/live`, which does not depend on the
/// database: restarting the server would not bring a database back.
pub(super) async fn health() -> Result<(), Box<dyn Error>> {
    let port = Config::port_from_env();
    match timeout(HEALTH_TIMEOUT, is_alive(port)).await {
        Ok(Ok(true)) => Ok(()),
        _ => Err(format!("no healthy server on port {port}").into()),
    }
}

async fn is_alive(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("localhost", port)).await?;
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(1024).read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}
