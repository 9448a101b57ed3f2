//! Binds an approval to the browser that began it.
//!
//! A browser gets one random [`BrowserKey`] as a cookie, with the first page. The `state` is derived from it and the grant, so a
//! second click, a second tab or a step back leads to the same `state`, and none breaks another. The PKCE verifier is derived
//! from it and a salt that only the database holds: a person who began a login in their own browser can't make it.

use data_encoding::BASE64URL_NOPAD;

use crate::grant::GrantId;
use crate::secret::{Digest, LENGTH, Secret};

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

    /// The PKCE verifier of a grant in this browser (RFC 7636 §4.1).
    pub fn code_verifier(&self, salt: &VerifierSalt) -> Secret {
        self.0.derive("code_verifier", &salt.0)
    }
}

/// Random, one for each grant, and never outside the database.
#[derive(Clone)]
pub struct VerifierSalt([u8; LENGTH]);

impl VerifierSalt {
    pub fn random() -> Self {
        Self(rand::random())
    }

    pub fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

impl std::fmt::Debug for VerifierSalt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VerifierSalt(..)")
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
}
