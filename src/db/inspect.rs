//! Looks at a database for `check`, on a connection of its own. Changes nothing.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, Error as TlsFault};
use serde::Deserialize;
use tokio::time::timeout;
use tokio_postgres::types::Type;

use crate::config::DatabaseUrl;
use crate::db::connection::{AttemptError, Connector, has_no_tls};
use crate::db::schema;
use crate::db::tls::TlsError;

/// All statements together.
const TIMEOUT: Duration = Duration::from_secs(10);

/// As for P-521, Ed448 and RSA keys for PSS alone.
const UNUSABLE: &str =
    "the TLS library here can't use its key or signature; RSA of 2048 bits or more, P-256 and P-384 work";

/// As JSON, by the names of [`Inspection`]'s fields. `$1` is Postiz's table, `$2` lists ours, `$3` says whether one is to be made.
/// Lacking are privileges that the server needs and this role does not have.
const FACTS: &str = "SELECT to_json(facts)::text FROM (SELECT
    current_setting('server_version') AS version,
    pg_is_in_recovery() AS standby,
    current_setting('transaction_read_only') = 'on' AS read_only,
    current_user::text AS role,
    (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl) AS tls_version,
    (SELECT relname::text FROM pg_class WHERE relname = $1 AND relkind IN ('r', 'p') LIMIT 1) AS postiz_table,
    ARRAY(SELECT 'CREATE on schema ' || coalesce(quote_ident(current_schema()), 'public')
        WHERE $3 AND coalesce(NOT has_schema_privilege(current_schema(), 'CREATE'), true)
        UNION ALL
        SELECT privilege || ' on ' || relname
        FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
        WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND relname = ANY($2)
          AND NOT has_table_privilege(pg_class.oid, privilege)) AS lacking
    ) AS facts";

/// A database as it was found.
#[derive(Debug, Clone, Deserialize)]
pub struct Inspection {
    /// As the server writes it: `15.18 (Debian ..)`.
    pub version: String,
    /// `TLSv1.3`; `None` if the connection is not encrypted. Behind a pooler: the pooler's own.
    pub tls_version: Option<String>,
    pub standby: bool,
    pub read_only: bool,
    pub role: String,
    /// Tables and indexes that the server makes when it starts. All of them before its first start.
    #[serde(skip)]
    pub missing: Vec<&'static str>,
    /// Why the server can't use this database, if a table in it is another program's.
    #[serde(skip)]
    pub foreign: Option<String>,
    /// Privileges that are needed and missing: `INSERT on device_requests`.
    pub lacking: Vec<String>,
    /// A table of Postiz, if the database holds one, in any schema.
    pub postiz_table: Option<String>,
}

/// Why a database could not be looked at. No variant holds a password.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error("{0}")]
    Settings(#[from] TlsError),
    #[error("the certificate is refused: {0}")]
    Certificate(String),
    #[error("the server has no TLS")]
    NoTls,
    #[error("it says: {message} ({code})")]
    Refused {
        /// The SQLSTATE.
        code: String,
        message: String,
    },
    #[error("{0}")]
    Unreachable(String),
}

/// Connects and looks.
pub async fn inspect(database: &DatabaseUrl) -> Result<Inspection, InspectError> {
    let connector = Connector::new(database)?;
    let late = |_| Err(AttemptError::NoAnswer("no answer within 10 s".to_owned()));
    Ok(timeout(TIMEOUT, look(&connector)).await.unwrap_or_else(late)?)
}

async fn look(connector: &Connector) -> Result<Inspection, AttemptError> {
    let client = connector.open().await?.client;
    let found = schema::look(&client).await?;
    let missing = found.clone().unwrap_or_default();
    let tables = (&schema::tables() as _, Type::TEXT_ARRAY);
    let parameters = [(&schema::POSTIZS as _, Type::TEXT), tables, (&!missing.is_empty() as _, Type::BOOL)];
    let facts = client.query_typed_one(FACTS, &parameters).await?;
    let facts: Inspection =
        serde_json::from_str(facts.try_get(0)?).map_err(|error| AttemptError::NoAnswer(error.to_string()))?;
    Ok(Inspection { missing, foreign: found.err(), ..facts })
}

impl From<AttemptError> for InspectError {
    fn from(failure: AttemptError) -> Self {
        let AttemptError::Driver(error) = &failure else { return Self::Unreachable(failure.to_string()) };
        if let Some(refusal) = error.as_db_error() {
            return Self::Refused { code: refusal.code().code().to_owned(), message: refusal.message().to_owned() };
        }
        let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
        // `source` of an io::Error skips the error that it wraps.
        let fault = causes.find_map(|cause| cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<TlsFault>());
        match fault {
            Some(TlsFault::InvalidCertificate(problem)) => Self::Certificate(problem.to_string()),
            Some(TlsFault::AlertReceived(AlertDescription::HandshakeFailure)) => Self::Certificate(UNUSABLE.to_owned()),
            _ if has_no_tls(error) => Self::NoTls,
            _ => Self::Unreachable(failure.to_string()),
        }
    }
}
