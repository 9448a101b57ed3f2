//! The secrets that a grant depends on: the browser's, which binds the approval, and the terminal's, which opens the token.
//!
//! A browser gets one random [`BrowserKey`] as a cookie, with the first page. The `state` is derived from it and the grant, so a
//! second click, a second tab or a step back leads to the same `state`, and none breaks another. The PKCE verifier is derived
//! from it and a salt that only the database holds: a person who began a login in their own browser can't make it.
//!
//! The token is sealed by HPKE (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305. The key
//! pair is derived from the device code when the grant is opened, and only the public half is stored. The callback seals
//! the token to it. After that only the device code, which lives in the terminal's memory, opens it: neither a dump of the
//! database nor this server can.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use crate::grant::{DeviceCode, GrantId, UserCode};
use crate::secret::{Digest, LENGTH, Secret};

/// Separates our use of the keys from any other, and the format's version.
const INFO: &[u8] = b"postiz-auth-server token 1";

/// The secret in a browser's cookie; it belongs to no person and opens nothing by itself.
#[derive(Clone, Debug)]
pub struct BrowserKey(Secret);

impl BrowserKey {
    pub fn random() -> Self {
        Self(Secret::random())
    }

    pub fn from_cookie(value: &str) -> Option<Self> {
        Secret::from_base64url(value).map(Self)
    }

    /// The cookie's value: 43 URL-safe characters.
    pub fn to_cookie(&self) -> String {
        self.0.to_base64url()
    }

    pub fn digest(&self) -> Digest {
        self.0.digest()
    }

    /// The `state` of a grant in this browser (RFC 6749 §10.12).
    pub fn state(&self, grant: GrantId) -> State {
        State { grant, proof: self.0.derive("state", grant.as_bytes()) }
    }

    /// Whether a state was derived from this key.
    pub fn owns(&self, state: &State) -> bool {
        // Digests are compared, so that the time it takes tells nothing about the right proof.
        self.state(state.grant).proof.digest() == state.proof.digest()
    }

    /// Proves, in a query, that a code was typed in this browser: the author of a link does not know the key.
    pub fn proof_of_typing(&self, code: UserCode) -> String {
        self.typed(code).to_base64url()
    }

    pub fn has_typed(&self, code: UserCode, proof: &str) -> bool {
        Secret::from_base64url(proof).is_some_and(|proof| proof.digest() == self.typed(code).digest())
    }

    fn typed(&self, code: UserCode) -> Secret {
        self.0.derive("typed", code.letters().as_bytes())
    }

    /// The PKCE verifier of a grant in this browser (RFC 7636 §4.1).
    pub fn code_verifier(&self, salt: &VerifierSalt) -> Secret {
        self.0.derive("code_verifier", salt.as_bytes())
    }
}

/// Random, one for each grant, and never outside the database.
#[derive(Clone, Debug)]
pub struct VerifierSalt(Secret);

impl VerifierSalt {
    pub fn random() -> Self {
        Self(Secret::random())
    }

    pub fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(Secret::from_bytes(bytes))
    }

    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        self.0.expose()
    }
}

/// The `state` of an authorization request: it names its grant, and is unguessable and useless in any other browser.
#[derive(Clone, Debug)]
pub struct State {
    pub grant: GrantId,
    proof: Secret,
}

impl State {
    pub fn from_query(value: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(value.as_bytes()).ok()?;
        let (grant, proof) = bytes.split_at_checked(LENGTH)?;
        let grant = GrantId::from_bytes(grant.try_into().ok()?);
        Some(Self { grant, proof: Secret::from_bytes(proof.try_into().ok()?) })
    }

    /// The query parameter: 86 URL-safe characters.
    pub fn to_query(&self) -> String {
        BASE64URL_NOPAD.encode(&[self.grant.as_bytes().as_slice(), self.proof.expose()].concat())
    }
}

/// What Postiz granted, as far as the terminal needs it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Credentials {
    #[serde(serialize_with = "revealed")]
    pub access_token: SecretString,
    /// The organization that the person chose at Postiz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// What the token gives access to, if Postiz says so (RFC 6749 §3.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// Inside the seal, and in the answer to the terminal.
fn revealed<S: Serializer>(token: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose_secret())
}

/// The key or the content was altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed token does not belong to this grant")]
pub struct SealError;

/// The public half of a grant's key pair: seals, and can't open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealingKey([u8; LENGTH]);

impl SealingKey {
    /// The key that only this device code can open.
    pub fn of(code: &DeviceCode) -> Self {
        let (_, public) = X25519HkdfSha256::derive_keypair(code.key_material());
        Self(public.to_bytes().into())
    }

    pub fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// Seals the credentials for one grant. They don't open in another grant's row.
    pub fn seal(&self, grant: &GrantId, credentials: &Credentials) -> Result<SealedToken, SealError> {
        let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&self.0).map_err(|_| SealError)?;
        let plain = Zeroizing::new(serde_json::to_vec(credentials).map_err(|_| SealError)?);
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
        let (key, ciphertext) = self.0.split_at_checked(LENGTH).ok_or(SealError)?;
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
        serde_json::from_slice(&plain).map_err(|_| SealError)
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
    use crate::grant::DeviceCode;

    fn grant() -> GrantId {
        DeviceCode::random().grant_id()
    }

    #[test]
    fn a_repeated_begin_in_one_browser_has_the_same_state() {
        let (browser, grant) = (BrowserKey::random(), grant());
        let again = BrowserKey::from_cookie(&browser.to_cookie()).expect("its own cookie");
        assert_eq!(browser.state(grant).to_query(), again.state(grant).to_query());
    }

    #[test]
    fn a_state_comes_back_and_belongs_to_its_browser_and_grant_alone() {
        let (browser, grant) = (BrowserKey::random(), grant());
        let text = browser.state(grant).to_query();
        assert_eq!(text.len(), 86);
        let state = State::from_query(&text).expect("its own text");
        assert!(state.grant == grant && browser.owns(&state));
        assert!(!BrowserKey::random().owns(&state));
        let moved = State { grant: DeviceCode::random().grant_id(), ..state };
        assert!(!browser.owns(&moved));
        for wrong in ["", "abc", &text[1..], &format!("{text}AA")] {
            assert!(State::from_query(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn the_verifier_needs_the_cookie_and_the_salt() {
        let (browser, salt) = (BrowserKey::random(), VerifierSalt::random());
        let verifier = |browser: &BrowserKey, salt: &VerifierSalt| browser.code_verifier(salt).to_base64url();
        assert_eq!(verifier(&browser, &salt), verifier(&browser, &salt.clone()));
        assert_ne!(verifier(&browser, &salt), verifier(&browser, &VerifierSalt::random()));
        assert_ne!(verifier(&browser, &salt), verifier(&BrowserKey::random(), &salt));
    }

    fn credentials() -> Credentials {
        Credentials {
            access_token: "pos_secret".into(),
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
