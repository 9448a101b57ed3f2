//! SIGTERM and SIGINT: both stop the server.

use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;

/// As a shell reports a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Returns at the first signal; a second one ends the process at once.
pub async fn stop_signal() {
    next().await;
    tokio::spawn(async {
        next().await;
        warn!("second stop signal: ending at once");
        std::process::exit(INTERRUPTED);
    });
}

async fn next() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without handlers of ours, the system's default ends the process.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
