//! How the types of a grant are written to columns and read from them.

use std::error::Error;
use std::str::FromStr;

use bytes::BytesMut;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::db::{DatabaseError, RowExt as _};
use crate::grant::{ClientId, GrantId, PostizClientId, SealedToken, SealingKey, UserCode, VerifierSalt};
use crate::secret::Digest;

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

/// A word that SQL chose, such as a statement's `outcome`.
pub(super) fn word<T: FromStr>(row: &Row, column: &str) -> Result<T, DatabaseError> {
    row.field::<&str>(column)?.parse().map_err(|_| DatabaseError::Refused)
}
