//! Detects that somebody with write access to the database changed a grant's row.

use secrecy::SecretString;

use crate::grant::{GrantId, SealingKey, UserCode};
use crate::secret::{Digest, LENGTH, Secret};

/// Derived from the client secret, which the database does not hold.
#[derive(Debug, Clone)]
pub struct RowKey(Secret);

/// The columns that never change after the opening. The code page shows them, and the token is sealed to one of them.
#[derive(Debug, Clone, Copy)]
pub struct FixedColumns<'a> {
    pub id: &'a GrantId,
    pub user_code: &'a UserCode,
    pub sealing_key: &'a SealingKey,
    /// As text, as it is stored.
    pub requester: Option<&'a str>,
}

impl RowKey {
    pub fn of(client_secret: &SecretString) -> Self {
        let digest = Digest::of_text(client_secret);
        Self(Secret::from_bytes(*digest.as_bytes()).derive("row key", b""))
    }

    pub fn mac(&self, columns: FixedColumns<'_>) -> [u8; LENGTH] {
        *self.derive(columns).expose()
    }

    pub fn verifies(&self, columns: FixedColumns<'_>, mac: &[u8]) -> bool {
        // Digests are compared, so that the time it takes tells nothing about the right MAC.
        Digest::of(mac) == self.derive(columns).digest()
    }

    fn derive(&self, columns: FixedColumns<'_>) -> Secret {
        self.0.derive("row", &columns.encode())
    }
}

impl FixedColumns<'_> {
    /// Three fields of fixed length and one at the end, so that no two rows have the same encoding.
    fn encode(&self) -> Vec<u8> {
        let requester: &[&[u8]] = match self.requester {
            None => &[&[0]],
            Some(address) => &[&[1], address.as_bytes()],
        };
        let fixed: [&[u8]; 3] = [self.id.as_bytes(), self.user_code.letters().as_bytes(), self.sealing_key.as_bytes()];
        [fixed.concat(), requester.concat()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::DeviceCode;

    #[test]
    fn a_changed_column_or_another_secret_is_noticed() {
        let (key, code, other) = (RowKey::of(&"secret".into()), DeviceCode::random(), DeviceCode::random());
        let (id, sealing_key) = (code.grant_id(), SealingKey::of(&code));
        let (user_code, other_code) = ("BCDF-GHJK".parse().unwrap(), "BCDF-GHJL".parse().unwrap());
        let row =
            FixedColumns { id: &id, user_code: &user_code, sealing_key: &sealing_key, requester: Some("192.0.2.1") };
        let mac = key.mac(row);
        assert!(key.verifies(row, &mac) && RowKey::of(&"secret".into()).verifies(row, &mac));
        for changed in [
            FixedColumns { id: &other.grant_id(), ..row },
            FixedColumns { user_code: &other_code, ..row },
            FixedColumns { sealing_key: &SealingKey::of(&other), ..row },
            FixedColumns { requester: Some("192.0.2.10"), ..row },
            FixedColumns { requester: Some(""), ..row },
            FixedColumns { requester: None, ..row },
        ] {
            assert!(!key.verifies(changed, &mac), "{changed:?}");
        }
        assert!(!RowKey::of(&"another".into()).verifies(row, &mac));
        assert!(!key.verifies(row, &mac[..LENGTH - 1]) && !key.verifies(row, b""));
    }
}
