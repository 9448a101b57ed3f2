//! The way to PostgreSQL: connecting, TLS, the pool, timeouts, retries, the schema. Knows no grant.
//!
//! No statement needs session state, so a pooler in transaction mode may stand in between. PostgreSQL is the only clock: SQL
//! compares each time with its `now()`, never with a replica's.

mod connection;
mod database;
mod direct;
mod error;
mod inspect;
mod schema;
mod tls;

use std::error::Error;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tracing::warn;

pub use database::{Database, Load};
pub use error::DatabaseError;
pub use inspect::{InspectError, Inspection, inspect};
pub use schema::SchemaState;
pub use tls::TlsError;

/// A statement with its name in logs and metrics.
#[derive(Debug, Clone, Copy)]
pub struct Statement {
    pub name: &'static str,
    pub sql: &'static str,
}

/// A value with its type: behind a pooler, nothing else tells the type.
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);
pub type Parameters<'a> = &'a [Parameter<'a>];

pub trait RowExt {
    /// A column by its name. A row that is not what its statement promises is [`DatabaseError::Refused`].
    fn field<'a, T: FromSql<'a>>(&'a self, column: &str) -> Result<T, DatabaseError>;
}

impl RowExt for Row {
    fn field<'a, T: FromSql<'a>>(&'a self, column: &str) -> Result<T, DatabaseError> {
        self.try_get(column).map_err(|error| {
            warn!(column, %error, "the database answered with an unexpected row");
            DatabaseError::Refused
        })
    }
}

/// A `float8` of seconds. A negative one reads as zero.
#[derive(Debug, Clone, Copy)]
pub struct Seconds(pub Duration);

impl<'a> FromSql<'a> for Seconds {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        f64::from_sql(ty, raw).map(|seconds| Self(Duration::try_from_secs_f64(seconds).unwrap_or_default()))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::FLOAT8
    }
}
