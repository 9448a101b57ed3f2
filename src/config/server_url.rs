//! `SERVER_URL`, and where it comes from if it is not set.

use super::platform::Platform;
use super::vars::{Vars, port, value};

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
