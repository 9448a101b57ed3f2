//! The auth server behind `postiz auth:login`: OAuth 2.0's device flow (RFC 8628) in front of Postiz.
//!
//! A terminal opens a [`grant`], a person confirms its code on our page and approves at [`postiz`],
//! and the terminal, which has been polling, receives the token. All state is in Postgres, behind
//! the [`store`]; replicas share nothing else. [`http`] is where requests arrive, one file for each
//! endpoint; [`app`] puts the parts together, [`commands`] is the command line.
//!
//! Imports go only downwards: `commands → app → check, exporter → http, sweeper, feed → store,
//! postiz, waiters, limits, telemetry → grant, config, metrics → secret`.

pub mod app;
pub mod check;
pub mod commands;
pub mod config;
pub mod exporter;
pub mod feed;
pub mod grant;
pub mod http;
pub mod limits;
pub mod metrics;
pub mod outbound;
pub mod postiz;
pub mod secret;
mod sockets;
pub mod store;
pub mod sweeper;
pub mod telemetry;
mod tls_roots;
pub mod waiters;
