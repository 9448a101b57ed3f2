//! What is sent to Postgres.

use tokio_postgres::types::{ToSql, Type};

/// A statement with its name in logs and metrics.
#[derive(Debug, Clone, Copy)]
pub struct Statement {
    pub name: &'static str,
    pub sql: &'static str,
}

/// Values with their types: behind a pooler, nothing else tells the types.
pub type Parameters<'a> = &'a [Parameter<'a>];

pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);
