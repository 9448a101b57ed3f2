//! The web: one file for each endpoint. A handler parses, calls one verb of `DeviceFlow` and renders its answer.
//!
//! | file | endpoint |
//! |---|---|
//! | [`code`] | `POST /device/code`: a terminal opens a grant |
//! | [`verify`] | `/device/verify`: a person confirms the code |
//! | [`callback`] | `GET /device/callback`: Postiz sends the person back |
//! | [`done`] | `GET /device/done/{outcome}`: the end of a callback |
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
mod deps;
pub mod dialect;
pub mod done;
pub mod entered_code;
pub mod errors;
pub mod fetch_metadata;
pub mod headers;
pub mod health;
pub mod lean;
pub mod metadata;
pub mod openapi;
pub mod own_form;
mod own_task;
pub mod pages;
pub mod params;
pub mod readiness;
pub mod routes;
pub mod self_check;
pub mod self_check_key;
pub mod token;
pub mod trace;
pub mod verify;
pub mod visitor;

pub use deps::Deps;
