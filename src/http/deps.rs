//! What the handlers need.

use crate::config::{BaseUrl, Config};
use crate::flow::DeviceFlow;
use crate::http::client_ip::ClientIp;
use crate::http::dialect::login_command;
use crate::http::readiness::Readiness;

/// Shared by all workers.
#[derive(Debug)]
pub struct Deps {
    pub flow: DeviceFlow,
    pub readiness: Readiness,
    pub client_ip: ClientIp,
    pub server_url: BaseUrl,
    /// What the terminal uses its token with.
    pub api_url: BaseUrl,
    /// What a person types to start a login at this server.
    pub login_command: String,
}

impl Deps {
    pub fn new(config: &Config, flow: DeviceFlow) -> Self {
        Self {
            readiness: Readiness::new(flow.store().database().clone(), flow.stopping().clone()),
            client_ip: ClientIp::new(config),
            server_url: config.server_url.clone(),
            login_command: login_command(&config.server_url),
            api_url: config.public_api_url().clone(),
            flow,
        }
    }
}
