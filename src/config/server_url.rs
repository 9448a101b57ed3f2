//! Which `SERVER_URL` holds, and who decided it.

use std::collections::BTreeMap;

use super::base_url::BaseUrl;
use super::platform::Platform;

/// Who decided `SERVER_URL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerUrlSource {
    /// The operator.
    Set,
    /// The platform, by its own variables.
    Platform(Platform),
    /// Nobody.
    Default,
}

/// The operator's word, else the platform's, else this machine.
pub(super) fn choose(
    set: Option<BaseUrl>,
    platform: Option<Platform>,
    vars: &BTreeMap<String, String>,
    port: u16,
) -> Option<(BaseUrl, ServerUrlSource)> {
    let announced = || platform.and_then(|platform| Some((platform.public_url(vars)?, platform)));
    if let Some(url) = set {
        Some((url, ServerUrlSource::Set))
    } else if let Some((url, platform)) = announced() {
        Some((url, ServerUrlSource::Platform(platform)))
    } else {
        let url = format!("http://localhost:{port}").parse().ok()?;
        Some((url, ServerUrlSource::Default))
    }
}

/// What works, and still is hardly what the operator wants.
pub(super) fn doubts(server_url: &BaseUrl, source: ServerUrlSource, platform: Option<Platform>) -> Vec<String> {
    let mut doubts = Vec::new();
    if let (ServerUrlSource::Default, Some(platform)) = (source, platform) {
        doubts.push(format!("SERVER_URL is {server_url} although this runs on {platform}: {}", platform.advice()));
    }
    if !server_url.is_https() && !server_url.is_loopback() {
        doubts.push(format!("SERVER_URL is {server_url}: without https, whoever is on the way can take over a login"));
    }
    doubts
}
