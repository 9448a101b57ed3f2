//! `serve`: the server, until SIGTERM or SIGINT.

use std::error::Error;

use tokio::signal::unix::{SignalKind, signal};
use tracing::field::display;
use tracing::{error, info, warn};

use crate::app::{App, Running, StartError, listen};
use crate::config::{Config, Problems};
use crate::log::{self, error_chain};
use crate::outbound;

/// As a shell reports a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// The exit code.
pub(super) async fn run() -> Result<u8, Box<dyn Error>> {
    let config = Config::from_env()?;
    log::init(&config);
    let started = listen(config.port).map_err(StartError::Listen);
    let started = started.and_then(|listener| App::start(&config, listener));
    let running = match started {
        Ok(running) => running,
        Err(error) => {
            error!(error = error_chain(&error), "the server can't start");
            return Ok(1);
        }
    };
    introduce(&config, &running);
    let code = tokio::select! {
        () = stop_signal() => 0,
        () = running.postiz_unusable() => Problems::EXIT_CODE,
    };
    running.stop().await;
    Ok(code)
}

fn introduce(config: &Config, running: &Running) {
    info!(version = env!("CARGO_PKG_VERSION"), address = %running.address(), "listening");
    info!(server_url = %config.server_url, "public address of this server");
    let client = match config.app {
        Some(_) => "register this callback URL with the app at Postiz",
        None => "a client is registered at Postiz for each login",
    };
    info!(callback_url = %config.callback_url(), "{client}");
    let frontend_url = config.frontend_url.as_ref().map(display);
    info!(frontend_url, api_url = %config.api_url, "addresses of Postiz");
    info!(database = %config.database, tls = %config.database.tls.mode.map_or_else(|| "by the address".to_owned(), |mode| mode.to_string()), "database");
    for warning in config.warnings().iter().chain(&outbound::unreadable_authorities()) {
        warn!("{warning}");
    }
}

/// Returns at the first SIGTERM or SIGINT; a second one ends the process at once.
pub async fn stop_signal() {
    next_signal().await;
    tokio::spawn(async {
        next_signal().await;
        warn!("second stop signal: ending at once");
        std::process::exit(INTERRUPTED);
    });
}

async fn next_signal() {
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
