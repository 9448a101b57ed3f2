//! The web: one file for each endpoint. A handler parses, calls one verb of `DeviceFlow` and renders its answer.
//!
//! | file | endpoint |
//! |---|---|
//! | [`code`] | `POST /device/code`: a terminal opens a grant |
//! | [`token`] | `POST /device/token`: the terminal polls |
//! | [`verify`] | `/device/verify`: a person confirms the code |
//! | [`callback`] | `/device/callback`, `/device/done/{outcome}`: Postiz sends the person back |
//! | [`about`] | `/`, `/llms.txt`, `/openapi.yaml`, `/.well-known/oauth-authorization-server`, `/health`, `/health/live` |
//!
//! A handler fails with one of two enums: [`errors::ClientError`] for programs, [`pages::Page`] for people.

pub mod about;
pub mod callback;
pub mod client_ip;
pub mod code;
pub mod dialect;
pub mod entered_code;
pub mod errors;
pub mod fetch_metadata;
pub mod lean;
pub mod middleware;
pub mod pages;
pub mod params;
pub mod routes;
pub mod token;
pub mod verify;
pub mod visitor;

use std::sync::{Arc, Mutex};

use crate::config::{BaseUrl, Config};
use crate::flow::DeviceFlow;
use crate::http::client_ip::ClientIp;
use crate::http::dialect::login_command;
use crate::log::Throttle;

/// What the handlers need.
#[derive(Debug)]
pub struct Deps {
    pub flow: Arc<DeviceFlow>,
    pub client_ip: ClientIp,
    pub server_url: BaseUrl,
    /// What the terminal uses its token with.
    pub api_url: BaseUrl,
    /// What a person types to start a login at this server.
    pub login_command: String,
    /// Who runs this server, for the footer of the pages.
    pub operator_name: Option<String>,
    pub operator_url: Option<String>,
    /// Forms that were refused, for the log.
    pub refused_forms: Mutex<Throttle>,
}

impl Deps {
    pub fn new(config: &Config, flow: Arc<DeviceFlow>) -> Self {
        Self {
            flow,
            refused_forms: Mutex::default(),
            client_ip: ClientIp::new(config),
            server_url: config.server_url.clone(),
            api_url: config.public_api_url().clone(),
            login_command: login_command(&config.server_url),
            operator_name: config.operator_name.clone(),
            operator_url: config.operator_url.clone().map(String::from),
        }
    }
}
