//! `healthcheck`: for container engines, because the image has no shell and no curl.

use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::commands::output::complain;
use crate::config::Config;

const TIMEOUT: Duration = Duration::from_secs(4);

/// Asks `/health/live`, which does not depend on the database: restarting the server would not bring a database back.
pub(super) async fn run() -> ExitCode {
    let port = Config::port_from_env();
    match timeout(TIMEOUT, is_alive(port)).await {
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
