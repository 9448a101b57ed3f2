//! The way to Postgres: pool, TLS, timeouts, retries, batching, migrations. Knows no grant.
//!
//! Every statement is unnamed and uses no session state, so a pooler in transaction mode may stand in between. Postgres
//! is the only clock: SQL compares each time with its `now()`, never with a replica's.

mod batcher;
mod clear_text;
mod database;
mod error;
mod fields;
mod inspect;
mod migrations;
mod pool;
mod probe;
mod repeats;
mod tls;

pub use batcher::Batcher;
pub use database::{Database, Load, Parameters, Statement};
pub use error::DatabaseError;
pub use fields::{RowExt, Seconds};
pub use inspect::{InspectError, Inspection, inspect};
pub use tls::TlsError;
