//! What the handlers need.

use crate::config::{BaseUrl, Config};
use crate::flow::DeviceFlow;
use crate::http::client_ip::ClientIp;
use crate::http::readiness::Readiness;
use crate::http::self_check_key::SelfCheckKey;

/// Shared by all workers.
#[derive(Debug)]
pub struct Deps {
    pub flow: DeviceFlow,
    pub readiness: Readiness,
    pub client_ip: ClientIp,
    pub self_check_key: SelfCheckKey,
    pub server_url: BaseUrl,
    /// The one foreign origin that a form of ours may lead to.
    pub frontend_url: BaseUrl,
    /// What the terminal uses its token with.
    pub api_url: BaseUrl,
}

impl Deps {
    pub fn new(config: &Config, flow: DeviceFlow) -> Self {
        Self {
            readiness: Readiness::new(flow.store().database().clone(), flow.stopping().clone()),
            client_ip: ClientIp::new(config),
            self_check_key: SelfCheckKey::new(&config.client_secret),
            server_url: config.server_url.clone(),
            frontend_url: config.frontend_url.clone(),
            api_url: config.public_api_url().clone(),
            flow,
        }
    }
}
