//! The way to Postgres: pool, TLS, timeouts, retries, batching, migrations. Knows no grant.
//!
//! No statement needs session state, so a pooler in transaction mode may stand in between. Postgres is the only clock: SQL
//! compares each time with its `now()`, never with a replica's.

mod batcher;
mod clear_text;
mod database;
mod direct;
mod error;
mod fields;
mod inspect;
mod migrations;
mod named;
mod pool;
mod pools;
mod probe;
mod repeats;
mod statement;
mod tls;
mod x509_v1;

pub use batcher::{Batcher, MAX_BATCH};
pub use database::{Database, Load};
pub use error::DatabaseError;
pub use fields::{RowExt, Seconds};
pub use inspect::{InspectError, Inspection, inspect};
pub use statement::{Parameter, Parameters, Statement};
pub use tls::TlsError;
