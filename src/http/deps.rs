//! What the handlers need.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::config::{BaseUrl, Config};
use crate::flow::DeviceFlow;
use crate::http::client_ip::ClientIp;
use crate::http::dialect::login_command;
use crate::http::readiness::Readiness;

/// Each worker has its own.
#[derive(Debug, Clone)]
pub struct Deps {
    pub flow: DeviceFlow,
    pub readiness: Arc<Readiness>,
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
            readiness: Arc::new(Readiness::new(flow.store().database().clone(), flow.stopping().clone())),
            client_ip: ClientIp::new(config),
            server_url: config.server_url.clone(),
            login_command: login_command(&config.server_url),
            api_url: config.public_api_url().clone(),
            flow,
        }
    }

    /// For the requests of the worker that calls it.
    #[must_use]
    pub fn for_this_worker(&self) -> Self {
        Self { flow: self.flow.for_worker(&Handle::current()), ..self.clone() }
    }
}
