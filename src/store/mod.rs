//! All state, in Postgres: one statement for each step of a grant.
//!
//! A statement decides and acts at once, and answers with one word for what it found (`outcome`). Each may be repeated
//! without harm, so a lost connection costs a retry and no grant. What costs only a repetition if a crash of PostgreSQL loses
//! it (notes of polls, deliveries, counters) does not wait for the disk: `synchronous_commit` is off inside that statement.

mod callback;
mod cleanup;
mod decisions;
mod enter;
mod open;
mod poll;
mod revoke;

use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_util::bytes::BytesMut;
use tracing::warn;

use crate::config::Config;
use crate::db::{Database, DatabaseError};
use crate::grant::{ClientId, GrantId, PostizClientId, SealedToken, SealingKey, UserCode, VerifierSalt};
use crate::secret::Digest;

pub use callback::{Claim, Lease, LeaseHolder, Refusal};
pub use cleanup::DeletedBecause;
pub use decisions::Decided;
pub use enter::{Authorization, Entered, GrantView};
pub use open::NewGrant;
pub use poll::{Delivered, Delivery};
pub use revoke::Which;

/// For a statement that a person waits for: after this they see a page that tries again.
const PAGE_TIMEOUT: Duration = Duration::from_secs(4);
/// For a statement that comes again: a poll's, whose terminal is answered `authorization_pending`, or the feed's.
const POLL_TIMEOUT: Duration = Duration::from_secs(3);

/// The grants. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    database: Database,
    /// `RATE_LIMIT_GUESSES`: wrong codes in a window; 0 sets no limit.
    guess_limit: i32,
    /// `DEVICE_CODE_TTL`
    ttl: Duration,
}

impl Store {
    pub fn new(config: &Config, database: Database) -> Self {
        let guess_limit = i32::try_from(config.rate_limit_guesses).unwrap_or(i32::MAX / 4);
        Self { database, guess_limit, ttl: config.device_code_ttl }
    }

    pub fn database(&self) -> &Database {
        &self.database
    }
}

type SqlError = Box<dyn Error + Sync + Send>;

/// `$write` gives the bytes or text of a value, `$read` makes the value of them.
macro_rules! column {
    ($type:ty as $column:ty, $write:expr, $read:expr) => {
        impl ToSql for $type {
            fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, SqlError> {
                let write: fn(&Self) -> &$column = $write;
                write(self).to_sql(ty, out)
            }

            fn accepts(ty: &Type) -> bool {
                <&$column as ToSql>::accepts(ty)
            }

            to_sql_checked!();
        }

        impl<'a> FromSql<'a> for $type {
            fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, SqlError> {
                let read: fn(&$column) -> Result<Self, SqlError> = $read;
                read(<&$column as FromSql>::from_sql(ty, raw)?)
            }

            fn accepts(ty: &Type) -> bool {
                <&$column as FromSql>::accepts(ty)
            }
        }
    };
}

column!(GrantId as [u8], |id| id.as_bytes(), |bytes| Ok(Self::from_bytes(bytes.try_into()?)));
column!(Digest as [u8], |digest| digest.as_bytes(), |bytes| Ok(Self::from_bytes(bytes.try_into()?)));
column!(SealingKey as [u8], |key| key.as_bytes(), |bytes| Ok(Self::from_bytes(bytes.try_into()?)));
column!(VerifierSalt as [u8], |salt| salt.as_bytes(), |bytes| Ok(Self::from_bytes(bytes.try_into()?)));
column!(SealedToken as [u8], |token| token.as_bytes(), |bytes| Ok(Self::from_bytes(bytes.to_vec())));
column!(ClientId as str, |id| id.as_str(), |text| Ok(text.parse()?));
column!(PostizClientId as str, |id| id.as_str(), |text| Ok(text.parse()?));
column!(UserCode as str, |code| code.letters(), |letters| Ok(letters.parse()?));

trait RowExt {
    /// A column by its name. A row that is not what its statement promises is [`DatabaseError::Refused`].
    fn field<'a, T: FromSql<'a>>(&'a self, column: &str) -> Result<T, DatabaseError>;

    /// A `float8` of seconds. A negative one reads as zero.
    fn seconds(&self, column: &str) -> Result<Duration, DatabaseError> {
        Ok(Duration::try_from_secs_f64(self.field(column)?).unwrap_or_default())
    }
}

impl RowExt for Row {
    fn field<'a, T: FromSql<'a>>(&'a self, column: &str) -> Result<T, DatabaseError> {
        self.try_get(column).map_err(|error| {
            warn!(column, %error, "the database answered with an unexpected row");
            DatabaseError::Refused
        })
    }
}

/// A word that SQL chose, such as a statement's `outcome`.
fn word<T: FromStr>(row: &Row, column: &str) -> Result<T, DatabaseError> {
    row.field::<&str>(column)?.parse().map_err(|_| DatabaseError::Refused)
}
