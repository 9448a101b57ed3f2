//! Seals a token so that only its terminal can read it.
//!
//! HPKE (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305. The key
//! pair is derived from the device code when the grant is opened, and only the public half is stored. The callback seals
//! the token to it. After that only the device code, which lives in the terminal's memory, opens it: neither a dump of the
//! database nor this server can.

use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::grant::{DeviceCode, GrantId};

/// Separates our use of the keys from any other, and the format's version.
const INFO: &[u8] = b"postiz-auth-server token 1";
/// Bytes of a public key and of an encapsulated key.
const KEY_LENGTH: usize = 32;

/// What Postiz granted, as far as the terminal needs it.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub access_token: SecretString,
    /// `bearer` unless Postiz says otherwise.
    pub token_type: String,
    /// The organization that the person chose at Postiz.
    pub organization_id: Option<String>,
    /// What the token gives access to, if Postiz says so (RFC 6749 §3.3).
    pub scope: Option<String>,
}

/// The form inside the seal.
#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    #[serde(borrow)]
    access_token: std::borrow::Cow<'a, str>,
    token_type: String,
    organization_id: Option<String>,
    scope: Option<String>,
}

/// The key or the content was altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed token does not belong to this grant")]
pub struct SealError;

/// The public half of a grant's key pair: seals, and can't open.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKey([u8; KEY_LENGTH]);

impl SealingKey {
    /// The key that only this device code can open.
    pub fn of(code: &DeviceCode) -> Self {
        let (_, public) = X25519HkdfSha256::derive_keypair(code.key_material());
        Self(public.to_bytes().into())
    }

    pub fn from_bytes(bytes: [u8; KEY_LENGTH]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; KEY_LENGTH] {
        &self.0
    }

    /// Seals the credentials for one grant. They don't open in another grant's row.
    pub fn seal(&self, grant: &GrantId, credentials: &Credentials) -> Result<SealedToken, SealError> {
        let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&self.0).map_err(|_| SealError)?;
        let content = Sealed {
            access_token: credentials.access_token.expose_secret().into(),
            token_type: credentials.token_type.clone(),
            organization_id: credentials.organization_id.clone(),
            scope: credentials.scope.clone(),
        };
        let plain = Zeroizing::new(serde_json::to_vec(&content).map_err(|_| SealError)?);
        let (encapsulated, ciphertext) = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &public,
            INFO,
            &plain,
            grant.as_bytes(),
        )
        .map_err(|_| SealError)?;
        let mut bytes = encapsulated.to_bytes().to_vec();
        bytes.extend_from_slice(&ciphertext);
        Ok(SealedToken(bytes))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

/// A token at rest: the encapsulated key (32 bytes), then the ciphertext.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedToken(Vec<u8>);

impl SealedToken {
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn open(&self, code: &DeviceCode) -> Result<Credentials, SealError> {
        let (private, _) = X25519HkdfSha256::derive_keypair(code.key_material());
        let (key, ciphertext) = self.0.split_at_checked(KEY_LENGTH).ok_or(SealError)?;
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(key).map_err(|_| SealError)?;
        let plain = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &private,
            &encapsulated,
            INFO,
            ciphertext,
            code.grant_id().as_bytes(),
        )
        .map_err(|_| SealError)?;
        let plain = Zeroizing::new(plain);
        let content: Sealed<'_> = serde_json::from_slice(&plain).map_err(|_| SealError)?;
        Ok(Credentials {
            access_token: content.access_token.into_owned().into(),
            token_type: content.token_type,
            organization_id: content.organization_id,
            scope: content.scope,
        })
    }
}

impl fmt::Debug for SealedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials {
            access_token: "pos_secret".into(),
            token_type: "bearer".into(),
            organization_id: Some("org-1".into()),
            scope: Some("all".into()),
        }
    }

    #[test]
    fn only_the_device_code_opens_the_seal() {
        let code = DeviceCode::random();
        let sealed = SealingKey::of(&code).seal(&code.grant_id(), &credentials()).expect("sealed");
        let opened = sealed.open(&code).expect("opened");
        assert_eq!(opened.access_token.expose_secret(), "pos_secret");
        assert_eq!((opened.organization_id.as_deref(), opened.scope.as_deref()), (Some("org-1"), Some("all")));
        assert!(sealed.open(&DeviceCode::random()).is_err());
    }

    #[test]
    fn a_token_moved_to_another_row_opens_no_more() {
        let (mine, other) = (DeviceCode::random(), DeviceCode::random());
        let sealed = SealingKey::of(&mine).seal(&other.grant_id(), &credentials()).expect("sealed");
        assert!(sealed.open(&mine).is_err());
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let code = DeviceCode::random();
        let sealed = SealingKey::of(&code).seal(&code.grant_id(), &credentials()).expect("sealed");
        for at in 0..sealed.0.len() {
            let mut bytes = sealed.0.clone();
            bytes[at] ^= 1;
            assert!(SealedToken(bytes).open(&code).is_err(), "byte {at}");
        }
        assert!(SealedToken(Vec::new()).open(&code).is_err());
    }

    #[test]
    fn the_seal_shows_nothing_of_the_token() {
        let code = DeviceCode::random();
        let sealed = SealingKey::of(&code).seal(&code.grant_id(), &credentials()).expect("sealed");
        assert!(!sealed.0.windows(4).any(|window| window == b"pos_"));
        assert_eq!(format!("{sealed:?}"), "SealedToken(..)");
    }
}
