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
pub mod code;
pub mod dialect;
pub mod errors;
pub mod pages;
pub mod routes;
pub mod sender;
pub mod token;
pub mod verify;
pub mod visitor;

use std::sync::{Arc, Mutex};

use crate::config::Config;
use crate::flow::DeviceFlow;
use crate::log::Throttle;

/// What the handlers need.
#[derive(Debug)]
pub struct Deps {
    pub flow: Arc<DeviceFlow>,
    pub config: Config,
    /// Forms that were refused, for the log.
    pub refused_forms: Mutex<Throttle>,
}
