//! What a login needs besides the server: a stand-in for Postiz and a throw-away PostgreSQL.
//!
//! Used by the server's tests, the demo and the load harness. This crate shares no code with the server, so that a
//! mistake can't hide by being made on both sides.

mod postgres;
mod postiz;

pub use postgres::{Postgres, PostgresError};
pub use postiz::{Event, Exchange, Fault, Metadata, RegisteredApp, RegisteredClient, StandIn, Subscription, Trial};
