//! `SERVER_URL`, and where it comes from if it is not set.

use super::Config;
use super::load::{Vars, port, value};
use super::platform::Platform;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerUrlSource {
    /// `SERVER_URL` is set.
    Set,
    /// The platform announces it in its own variables.
    Platform(Platform),
    /// `http://localhost` and the port.
    Default,
}

pub(super) fn source(vars: &Vars) -> ServerUrlSource {
    let announced = Platform::recognise(vars).filter(|platform| platform.public_url(vars).is_some());
    match value(vars, "SERVER_URL") {
        Some(_) => ServerUrlSource::Set,
        None => announced.map_or(ServerUrlSource::Default, ServerUrlSource::Platform),
    }
}

/// The URL that the platform announces, or this machine's.
pub(super) fn derived(vars: &Vars) -> String {
    let announced = Platform::recognise(vars).and_then(|platform| platform.public_url(vars));
    announced.map_or_else(|| format!("http://localhost:{}", port(vars)), |url| url.to_string())
}

pub(super) fn warnings(config: &Config) -> Vec<String> {
    let url = &config.server_url;
    let mut warnings = Vec::new();
    if let (ServerUrlSource::Default, Some(platform)) = (config.server_url_source, config.platform) {
        warnings.push(format!("SERVER_URL is {url} although this runs on {platform}: {}", platform.advice()));
    }
    if !url.is_https() && !url.is_loopback() {
        warnings.push(format!("SERVER_URL is {url}: without https, anyone on the network path can take over a login"));
    }
    warnings
}
