//! What `check` wants to know of the database: asked on connections of its own, and nothing is changed.

use std::error::Error as _;
use std::io;
use std::time::{Duration, SystemTime};

use rustls::Error as TlsFault;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

use crate::config::DatabaseUrl;
use crate::store::{Store, StoreError, TlsError, get, pool, tls};

/// All questions together.
const LIMIT: Duration = Duration::from_secs(10);
/// Round trips, of which the one in the middle counts.
const PINGS: usize = 5;
const TRIES: usize = 5;

const FACTS: &str = "SELECT current_setting('server_version') AS version,
        current_setting('server_version_num')::int4 AS version_number,
        current_setting('max_connections')::int8 AS most_connections,
        pg_is_in_recovery() AS standby,
        current_setting('transaction_read_only') = 'on' AS read_only,
        extract(epoch FROM clock_timestamp())::float8 AS clock,
        current_user::text AS role, current_schema()::text AS schema";

/// What our migrations and statements need, and this role lacks.
const LACKING: &str = "SELECT 'CREATE on schema ' || quote_ident(current_schema()) AS lacking
    WHERE NOT has_schema_privilege(current_schema(), 'CREATE')
    UNION ALL
    SELECT privilege || ' on ' || relname
    FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
    WHERE relnamespace = current_schema()::regnamespace AND relname IN ('device_requests', 'guess_counters', 'schema_migrations')
      AND NOT has_table_privilege(pg_class.oid, privilege)";

const BACKEND: &str = "SELECT pg_backend_pid() AS backend";
const TLS_VERSION: &str = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl";
/// When our first table was made, in microseconds: no two databases have the same.
const FINGERPRINT: &str =
    "SELECT (extract(epoch FROM applied_at) * 1000000)::int8 AS made FROM schema_migrations WHERE version = 1";

/// A database as it was found.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// As the server writes it: `15.18 (Debian ..)`.
    pub version: String,
    /// The major version times 10000, and the minor one.
    pub version_number: i32,
    /// `TLSv1.3`; none where the connection is not encrypted. Behind a pooler: the pooler's own.
    pub tls_version: Option<String>,
    /// Whether it follows another one.
    pub standby: bool,
    /// Whether it refuses to write.
    pub read_only: bool,
    /// Who we are there.
    pub role: String,
    /// Where our tables are made; none where the search path leads nowhere.
    pub schema: Option<String>,
    /// Rights that we need and lack: `INSERT on device_requests`.
    pub lacking: Vec<String>,
    /// How far its clock is ahead of ours, in seconds; negative where it is behind.
    pub clock_ahead: f64,
    /// One round trip.
    pub latency: Duration,
    /// Whether two connections share one backend: a pooler in transaction mode.
    pub pooled: bool,
    /// Connections that it takes from everybody together.
    pub most_connections: i64,
    /// Tells this database from others; none before the first start.
    pub fingerprint: Option<i64>,
}

/// Why a database could not be looked at. No variant holds a password.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The settings for TLS are no good.
    #[error("{0}")]
    Settings(#[from] TlsError),
    /// Its certificate does not stand the test of `sslmode`.
    #[error("the certificate is refused: {0}")]
    Certificate(TlsFault),
    /// `sslmode` wants TLS and the server has none.
    #[error("the server has no TLS")]
    NoTls,
    /// It answered, and said no.
    #[error("it says: {message} ({code})")]
    Refused {
        /// The SQLSTATE.
        code: String,
        /// Its own sentence.
        message: String,
    },
    /// No connection, with the cause.
    #[error("{0}")]
    Unreachable(String),
    /// Nothing came back.
    #[error("no answer within 10 s")]
    Silent,
}

/// Looks at a database.
pub async fn inspect(database: &DatabaseUrl) -> Result<Inspection, InspectError> {
    let looked = timeout(LIMIT, look(database)).await;
    looked.map_err(|_| InspectError::Silent)?
}

async fn look(database: &DatabaseUrl) -> Result<Inspection, InspectError> {
    let connector = tls::connector(&database.tls)?.map(std::sync::Arc::new);
    let connect = || pool::open_first(database.hosts.clone(), connector.clone(), Handle::current());
    let (client, _connection) = connect().await.map_err(|error| failure(&error))?;

    let before = SystemTime::now();
    let facts = one(&client, FACTS).await.map_err(|error| failure(&error))?;
    let facts = facts.ok_or(InspectError::Silent)?;
    let round_trip = before.elapsed().unwrap_or_default();
    // The server read its clock about half-way.
    let ours = (before + round_trip / 2).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();

    let lacking = client.query_typed(LACKING, &[]).await.map_err(|error| failure(&error))?;
    let pooled = match connect().await {
        Ok((other, _connection)) => share_a_backend(&client, &other).await,
        Err(_) => false,
    };
    let read = |error: Error| failure(&error);
    Ok(Inspection {
        version: facts.try_get("version").map_err(read)?,
        version_number: facts.try_get("version_number").map_err(read)?,
        tls_version: one(&client, TLS_VERSION).await.ok().flatten().and_then(|row| row.try_get(0).ok()),
        standby: facts.try_get("standby").map_err(read)?,
        read_only: facts.try_get("read_only").map_err(read)?,
        role: facts.try_get("role").map_err(read)?,
        schema: facts.try_get("schema").map_err(read)?,
        lacking: lacking.iter().filter_map(|row| row.try_get(0).ok()).collect(),
        clock_ahead: facts.try_get::<_, f64>("clock").map_err(read)? - ours.as_secs_f64(),
        latency: latency(&client).await.map_err(read)?,
        pooled,
        most_connections: facts.try_get("most_connections").map_err(read)?,
        // The table is not there before the first start.
        fingerprint: one(&client, FINGERPRINT).await.ok().flatten().and_then(|row| row.try_get(0).ok()),
    })
}

async fn one(client: &Client, sql: &str) -> Result<Option<Row>, Error> {
    Ok(client.query_typed(sql, &[]).await?.into_iter().next())
}

/// Whether two connections that are both open meet one backend: only behind a pooler can they. Others
/// may come in between there, so it is tried a few times.
async fn share_a_backend(one_client: &Client, other: &Client) -> bool {
    let backend = async |client| one(client, BACKEND).await.ok().flatten()?.try_get::<_, i32>("backend").ok();
    for _ in 0..TRIES {
        let (one, other) = (backend(one_client).await, backend(other).await);
        if one.is_some() && one == other {
            return true;
        }
    }
    false
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

fn failure(error: &Error) -> InspectError {
    if let Some(refusal) = error.as_db_error() {
        let (code, message) = (refusal.code().code().to_owned(), refusal.message().to_owned());
        return InspectError::Refused { code, message };
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        // An io::Error shows what it wraps, but is not its cause.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let fault = wrapped.and_then(|wrapped| wrapped.downcast_ref()).or_else(|| error.downcast_ref::<TlsFault>());
        if let Some(fault @ TlsFault::InvalidCertificate(_)) = fault {
            return InspectError::Certificate(fault.clone());
        }
        cause = error.source();
    }
    if text.contains("server does not support TLS") { InspectError::NoTls } else { InspectError::Unreachable(text) }
}

impl Store {
    /// What tells our database from others; none where it does not answer.
    pub async fn fingerprint(&self) -> Result<Option<i64>, StoreError> {
        const PATIENCE: Duration = Duration::from_secs(3);
        let statement = crate::store::Statement { name: "fingerprint", sql: FINGERPRINT };
        let rows = self.link.rows(statement, &[], PATIENCE).await?;
        rows.first().map(|row| get(row, "made")).transpose()
    }
}
