//! The server as its users meet it: real processes, a real Postgres, the real CLI from npm.
//!
//! The only stand-in is Postiz. Each test has a database of its own and starts the replicas it needs.

// Its helpers panic as its tests do; clippy knows only the latter.
#![allow(unreachable_pub, reason = "nothing outside uses a test")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

mod agents;
mod bad_input;
mod callbacks;
mod check;
mod clients;
mod clocks;
mod configuration;
mod connecting;
mod crashes;
mod databases;
mod documents;
mod encryption;
mod failover;
mod floods;
mod layers;
mod limits;
mod logins;
mod logs;
mod metrics;
mod model;
mod monitoring;
mod named_statements;
mod people;
mod platforms;
mod real_cli;
mod registrations;
mod revocations;
mod rolling;
mod secrecy;
mod trials;
mod troubles;
mod waiting;
mod wild;
