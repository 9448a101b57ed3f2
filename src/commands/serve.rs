//! `serve`: the server, until SIGTERM or SIGINT.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use tracing::{error, info, warn};

use crate::app::{App, listen};
use crate::commands::output::configuration;
use crate::commands::signals;
use crate::config::{Config, ServerUrlSource};
use crate::telemetry;

pub(super) async fn run() -> ExitCode {
    let config = match configuration() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let _telemetry = telemetry::init(&config);
    let started = listen(config.port).and_then(|listener| App::start(&config, listener).map_err(io::Error::other));
    let running = match started {
        Ok(running) => running,
        Err(error) => {
            error!(%error, port = config.port, "the server can't start");
            return ExitCode::FAILURE;
        }
    };
    introduce(&config, running.address());
    signals::stop_signal().await;
    running.stop().await;
    ExitCode::SUCCESS
}

fn introduce(config: &Config, address: SocketAddr) {
    info!(version = env!("CARGO_PKG_VERSION"), %address, "listening");
    let chosen = match config.server_url_source {
        ServerUrlSource::Set => "SERVER_URL".to_owned(),
        ServerUrlSource::Platform(platform) => format!("announced by {platform}"),
        ServerUrlSource::Default => "the default".to_owned(),
    };
    info!(server_url = %config.server_url, chosen, "public address of this server");
    info!(callback_url = %config.callback_url(), "register this callback URL with the app at Postiz");
    info!(frontend_url = %config.frontend_url, api_url = %config.api_url, "addresses of Postiz");
    info!(database = %config.database, tls = %config.database.tls.mode, "database");
    for warning in &config.warnings {
        warn!("{warning}");
    }
}
