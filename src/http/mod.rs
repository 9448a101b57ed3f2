//! The web: one file for each endpoint. A handler parses, calls one verb of [`DeviceFlow`] and renders its answer.
//!
//! | file | endpoint |
//! |---|---|
//! | [`code`] | `POST /device/code`: a terminal opens a grant |
//! | [`verify`] | `/device/verify`: a person confirms the code |
//! | [`callback`] | `GET /device/callback`: Postiz sends the person back |
//! | [`token`] | `POST /device/token`: the terminal polls |
//! | [`health`] | `/health`, `/health/live`: load balancers |
//! | [`openapi`] | `/openapi.yaml`: the API, described |
//! | [`self_check`] | `/health/mirror`: our own `check`, from outside |
//! | [`metadata`] | `/.well-known/oauth-authorization-server`, `/` |
//!
//! A handler fails with one of two enums: [`errors::ClientError`] for programs, [`pages::Page`] for people.

pub mod browser_cookie;
pub mod callback;
pub mod client_ip;
pub mod code;
pub mod dialect;
pub mod entered_code;
pub mod errors;
pub mod headers;
pub mod health;
pub mod lean;
pub mod metadata;
pub mod openapi;
pub mod own_form;
pub mod pages;
pub mod params;
pub mod routes;
pub mod self_check;
pub mod token;
pub mod trace;
pub mod verify;
pub mod visitor;

use crate::config::{BaseUrl, Config};
use crate::flow::DeviceFlow;

use client_ip::ClientIp;
use health::Health;
use self_check::SelfCheckKey;

/// What the handlers need; shared by all workers.
#[derive(Debug)]
pub struct Deps {
    pub flow: DeviceFlow,
    pub health: Health,
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
            health: Health::new(flow.store().database().clone(), flow.stopping().clone()),
            client_ip: ClientIp::new(config),
            self_check_key: SelfCheckKey::new(&config.client_secret),
            server_url: config.server_url.clone(),
            frontend_url: config.frontend_url.clone(),
            api_url: config.api_url.clone(),
            flow,
        }
    }
}
