//! The auth server behind `postiz auth:login`: OAuth 2.0's device flow (RFC 8628) in front of Postiz.
//!
//! A terminal opens a [`grant`], a person confirms its code on our page and approves at [`postiz`], and the terminal, which
//! has been polling, receives the token. [`flow`] decides all of it: one verb for each thing that happens. [`http`] parses
//! requests and renders answers, one file for each endpoint. All state is in Postgres: one statement for each step in
//! [`store`], which reaches it through [`db`]. Replicas share nothing else. [`app`] starts the parts, [`commands`] is the
//! command line.
//!
//! Imports go only downwards: `commands → app → check, exporter → http → flow → store, postiz, limits → db → outbound → log →
//! grant, config, metrics → secret`.

pub mod app;
pub mod check;
pub mod commands;
pub mod config;
pub mod db;
pub mod exporter;
pub mod flow;
pub mod grant;
pub mod http;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod outbound;
pub mod postiz;
pub mod secret;
pub mod store;
