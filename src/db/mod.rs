//! The way to PostgreSQL: connecting, TLS, the pool, timeouts, retries, the schema. Knows no grant.
//!
//! No statement needs session state, so a pooler in transaction mode may stand in between. PostgreSQL is the only clock: SQL
//! compares each time with its `now()`, never with a replica's.

mod connection;
mod database;
mod direct;
mod error;
mod inspect;
mod rows;
mod schema;
mod tls;

pub use database::{Database, Load};
pub use error::DatabaseError;
pub use inspect::{InspectError, Inspection, inspect};
pub use rows::{Parameter, Parameters, RowExt, Seconds, Statement};
pub use schema::SchemaState;
pub use tls::TlsError;
