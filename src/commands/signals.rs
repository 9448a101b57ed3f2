//! The wish to stop: SIGTERM and SIGINT alike.

use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;

/// Exit code of a process that was told twice to stop.
const IMPATIENT: i32 = 130;

/// Returns at the first signal; a second one, whenever it comes, ends the process at once.
pub async fn wish_to_stop() {
    one().await;
    tokio::spawn(async {
        one().await;
        warn!("told twice to stop: ending at once");
        std::process::exit(IMPATIENT);
    });
}

async fn one() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without them the system's own handling ends the process.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
