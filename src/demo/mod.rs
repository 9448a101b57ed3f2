//! What it takes to try the server out, and to test it, on a machine of one's own.
//!
//! A throw-away [`postgres`] and a stand-in [`postiz`]; never in the image.

pub mod postgres;
pub mod postiz;

pub use postgres::Postgres;
pub use postiz::{Event, Exchange, Fault, RegisteredApp, StandIn};
