//! Secrets as types with nothing to print.
//!
//! A [`Secret`] has no `Display`, its `Debug` shows no content, and it is wiped when dropped. Only two methods reveal it,
//! both easy to grep for: [`Secret::expose`] and [`Secret::to_base64url`].

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// Bytes in a [`Secret`] and in its [`Digest`].
pub const LENGTH: usize = 32;

/// 256 bits that only their holder may know: a device code, a state, a browser's key.
#[derive(Clone)]
pub struct Secret([u8; LENGTH]);

impl Secret {
    /// Draws a new one from the thread's CSPRNG, which the operating system seeds.
    pub fn random() -> Self {
        Self(rand::random())
    }

    pub fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    /// Reads what [`Self::to_base64url`] wrote; anything else is `None`.
    pub fn from_base64url(text: &str) -> Option<Self> {
        // 43 characters hold 32 bytes; longer text is not decoded at all.
        if text.len() != BASE64URL_NOPAD.encode_len(LENGTH) {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    pub fn expose(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// The content as 43 URL-safe characters, for a cookie or a query.
    pub fn to_base64url(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// May be stored in place of the secret.
    ///
    /// Plain SHA-256 is enough because the input has 256 bits of entropy. Looking a row up by it
    /// compares no secret, so there is no time to measure.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// Derives another secret from this one, different for each `label` and `context`.
    ///
    /// HMAC-SHA256 keyed with this secret over the label, a NUL and the context.
    #[must_use]
    pub fn derive(&self, label: &'static str, context: &[u8]) -> Self {
        // One block holds the key whole, so it is taken as it is (RFC 2104).
        let mut block = [0; 64];
        block[..LENGTH].copy_from_slice(&self.0);
        let mut mac = <Hmac<Sha256>>::new(&block.into());
        block.zeroize();
        mac.update(label.as_bytes());
        mac.update(&[0]);
        mac.update(context);
        Self(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The SHA-256 of a secret, which the database holds in its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; LENGTH]);

impl Digest {
    /// The digest of a secret of any length, such as an authorization code.
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    pub fn of_text(secret: &SecretString) -> Self {
        Self::of(secret.expose_secret().as_bytes())
    }

    pub fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_content() {
        let secret = Secret::from_bytes([0xab; LENGTH]);
        let shown = format!("{secret:?} {:?}", secret.digest());
        assert_eq!(shown, "Secret(..) Digest(..)");
    }

    #[test]
    fn text_is_read_back() {
        let secret = Secret::random();
        let text = secret.to_base64url();
        assert_eq!(text.len(), 43);
        let back = Secret::from_base64url(&text).expect("its own text");
        assert_eq!(back.expose(), secret.expose());
    }

    #[test]
    fn other_text_is_refused() {
        let text = Secret::random().to_base64url();
        for wrong in ["", "abc", &text[1..], &format!("{text}A"), &text.replace(&text[..1], "!")] {
            assert!(Secret::from_base64url(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn derived_secrets_differ_by_label_and_context() {
        let key = Secret::random();
        let one = key.derive("state", b"A");
        assert_eq!(one.expose(), key.derive("state", b"A").expose());
        assert_ne!(one.expose(), key.derive("state", b"B").expose());
        assert_ne!(one.expose(), key.derive("verifier", b"A").expose());
        assert_ne!(one.expose(), Secret::random().derive("state", b"A").expose());
    }
}
