//! `serve`: the server, until SIGTERM or SIGINT.

use std::process::ExitCode;

use tracing::field::display;
use tracing::{error, info, warn};

use crate::app::{App, Running, StartError, listen};
use crate::commands::output::configuration;
use crate::commands::signals;
use crate::config::{Config, PostizApp, Problems, ServerUrlSource};
use crate::error_chain::error_chain;
use crate::telemetry;

pub(super) async fn run() -> ExitCode {
    let config = match configuration() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let _telemetry = telemetry::init(&config);
    let started = listen(config.port).map_err(StartError::Listen);
    let started = started.and_then(|listener| App::start(&config, listener));
    let running = match started {
        Ok(running) => running,
        Err(error) => {
            error!(error = error_chain(&error), "the server can't start");
            return ExitCode::FAILURE;
        }
    };
    introduce(&config, &running);
    let code = tokio::select! {
        () = signals::stop_signal() => ExitCode::SUCCESS,
        () = running.postiz_unusable() => ExitCode::from(Problems::EXIT_CODE),
    };
    running.stop().await;
    code
}

fn introduce(config: &Config, running: &Running) {
    info!(version = env!("CARGO_PKG_VERSION"), address = %running.address(), "listening");
    let chosen = match config.server_url_source {
        ServerUrlSource::Set => "SERVER_URL".to_owned(),
        ServerUrlSource::Platform(platform) => format!("announced by {platform}"),
        ServerUrlSource::Default => "the default".to_owned(),
    };
    info!(server_url = %config.server_url, chosen, "public address of this server");
    match config.postiz_app() {
        PostizApp::ByHand { .. } => {
            info!(callback_url = %config.callback_url(), "register this callback URL with the app at Postiz");
        }
        PostizApp::Registered => {
            info!(callback_url = %config.callback_url(), "a client is registered at Postiz for each login");
        }
    }
    let frontend_url = config.frontend_url.as_ref().map(display);
    info!(frontend_url, api_url = %config.api_url, "addresses of Postiz");
    info!(database = %config.database, tls = %config.database.tls.mode, "database");
    let (resources, capacity) = (running.resources(), running.capacity());
    info!(
        held_polls = capacity.held_polls,
        held_megabytes = capacity.held_bytes / 1_000_000,
        memory = %resources.memory,
        open_files = resources.sockets,
        "terminals that may wait here"
    );
    for warning in &config.warnings {
        warn!("{warning}");
    }
}
