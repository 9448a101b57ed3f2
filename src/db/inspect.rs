//! Looks at a database for `check`, on connections of its own. Changes nothing.

use std::error::Error as _;
use std::io;
use std::time::{Duration, SystemTime};

use rustls::{CertificateError, Error as TlsFault, OtherError};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

use crate::config::DatabaseUrl;
use crate::db::clear_text::ClearTextRefused;
use crate::db::direct::is_direct;
use crate::db::migrations::SELF_CHECK_KEY;
use crate::db::pool::Connector;
use crate::db::tls::TlsError;
use crate::db::x509_v1::NamesNoHost;
use crate::error_chain::error_chain;
use crate::secret::Secret;

/// All statements together.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Round trips, of which the median counts.
const PINGS: usize = 5;

const FACTS: &str = "SELECT current_setting('server_version') AS version,
        current_setting('server_version_num')::int4 AS version_number,
        current_setting('max_connections')::int8 AS max_connections,
        pg_is_in_recovery() AS standby,
        current_setting('transaction_read_only') = 'on' AS read_only,
        date_part('epoch', clock_timestamp()) AS clock,
        current_user::text AS role, current_schema()::text AS schema,
        (SELECT relname::text FROM pg_class WHERE relname = 'OAuthApp' AND relkind IN ('r', 'p') LIMIT 1) AS postiz_table";

/// Privileges that the migrations and statements need and this role lacks. `$1` lists the tables.
const LACKING: &str = "SELECT 'CREATE on schema ' || quote_ident(current_schema()) AS lacking
    WHERE NOT has_schema_privilege(current_schema(), 'CREATE')
    UNION ALL
    SELECT privilege || ' on ' || relname
    FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
    WHERE relnamespace = current_schema()::regnamespace AND relname = ANY($1)
      AND NOT has_table_privilege(pg_class.oid, privilege)";

const TLS_VERSION: &str = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl";

/// A database as it was found.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// As the server writes it: `15.18 (Debian ..)`.
    pub version: String,
    /// The major version times 10000, and the minor one.
    pub version_number: i32,
    /// `TLSv1.3`; `None` if the connection is not encrypted. Behind a pooler: the pooler's own.
    pub tls_version: Option<String>,
    pub standby: bool,
    pub read_only: bool,
    pub role: String,
    /// Where the tables are made; `None` if the search path names no schema.
    pub schema: Option<String>,
    /// Privileges that are needed and missing: `INSERT on device_requests`.
    pub lacking: Vec<String>,
    /// Seconds that its clock is ahead of this machine's; negative if it is behind.
    pub clock_ahead: f64,
    /// One round trip.
    pub latency: Duration,
    /// Whether a pooler stands before it.
    pub pooled: bool,
    /// `max_connections`.
    pub max_connections: i64,
    /// A table of Postiz, if the database holds one, in any schema.
    pub postiz_table: Option<String>,
    /// Servers on this database have it; `None` before the first migration.
    pub self_check_key: Option<Secret>,
}

/// Why a database could not be looked at. No variant holds a password.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error("{0}")]
    Settings(#[from] TlsError),
    #[error("the certificate is refused: {0}")]
    Certificate(TlsFault),
    #[error("the certificate is refused: {NamesNoHost}")]
    CertificateV1,
    #[error("the server has no TLS")]
    NoTls,
    #[error("it asks for the password in clear text")]
    ClearText,
    #[error("it says: {message} ({code})")]
    Refused {
        /// The SQLSTATE.
        code: String,
        message: String,
    },
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer within 10 s")]
    Timeout,
}

/// Connects and looks; `tables` are those that the server reads and writes.
pub async fn inspect(database: &DatabaseUrl, tables: &[&str]) -> Result<Inspection, InspectError> {
    timeout(TIMEOUT, look(database, tables)).await.unwrap_or(Err(InspectError::Timeout))
}

async fn look(database: &DatabaseUrl, tables: &[&str]) -> Result<Inspection, InspectError> {
    let connector = Connector::new(database, &Handle::current())?;
    let (client, _connection) = connector.open().await?;

    let before = SystemTime::now();
    let facts = one(&client, FACTS).await?;
    let facts = facts.ok_or(InspectError::Timeout)?;
    let round_trip = before.elapsed().unwrap_or_default();
    // The server read its clock about half of the round trip ago.
    let ours = (before + round_trip / 2).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();

    let lacking = client.query_typed(LACKING, &[(&tables, Type::TEXT_ARRAY)]).await?;
    let pooled = !is_direct(&client).await?;
    Ok(Inspection {
        version: facts.try_get("version")?,
        version_number: facts.try_get("version_number")?,
        tls_version: one(&client, TLS_VERSION).await.ok().flatten().and_then(|row| row.try_get(0).ok()),
        standby: facts.try_get("standby")?,
        read_only: facts.try_get("read_only")?,
        role: facts.try_get("role")?,
        schema: facts.try_get("schema")?,
        lacking: lacking.iter().filter_map(|row| row.try_get(0).ok()).collect(),
        clock_ahead: facts.try_get::<_, f64>("clock")? - ours.as_secs_f64(),
        latency: latency(&client).await?,
        pooled,
        max_connections: facts.try_get("max_connections")?,
        postiz_table: facts.try_get("postiz_table")?,
        // The table is missing before the first start.
        self_check_key: one(&client, SELF_CHECK_KEY).await.ok().flatten().as_ref().and_then(key),
    })
}

fn key(row: &Row) -> Option<Secret> {
    Some(Secret::from_bytes(row.try_get::<_, &[u8]>(0).ok()?.try_into().ok()?))
}

async fn one(client: &Client, sql: &str) -> Result<Option<Row>, Error> {
    Ok(client.query_typed(sql, &[]).await?.into_iter().next())
}

async fn latency(client: &Client) -> Result<Duration, Error> {
    let mut taken = [Duration::ZERO; PINGS];
    for taken in &mut taken {
        let begun = Instant::now();
        client.query_typed("SELECT 1", &[] as &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)]).await?;
        *taken = begun.elapsed();
    }
    taken.sort_unstable();
    Ok(taken[PINGS / 2])
}

impl From<Error> for InspectError {
    fn from(error: Error) -> Self {
        if let Some(refusal) = error.as_db_error() {
            let (code, message) = (refusal.code().code().to_owned(), refusal.message().to_owned());
            return Self::Refused { code, message };
        }
        if let Some(fault @ TlsFault::InvalidCertificate(problem)) = cause(&error) {
            return match problem {
                CertificateError::Other(OtherError(other)) if other.is::<NamesNoHost>() => Self::CertificateV1,
                _ => Self::Certificate(fault.clone()),
            };
        }
        if cause::<ClearTextRefused>(&error).is_some() {
            return Self::ClearText;
        }
        let text = error_chain(&error);
        if text.contains("server does not support TLS") { Self::NoTls } else { Self::Unreachable(text) }
    }
}

/// The first cause of this type.
fn cause<T: std::error::Error + 'static>(error: &Error) -> Option<&T> {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.find_map(|cause| {
        // `source` of an io::Error skips the error that it wraps.
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.and_then(|wrapped| wrapped.downcast_ref()).or_else(|| cause.downcast_ref())
    })
}
