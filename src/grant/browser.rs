//! Binds an approval to the browser that began it.
//!
//! A browser gets one random [`BrowserKey`] as a cookie. The `state` and the PKCE verifier are derived from it, so the
//! database stores neither. A second click, a second tab or a step back leads to the same `state`, so none breaks another.

use crate::grant::UserCode;
use crate::secret::{Digest, Secret};

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

    /// The `state` of the login with this user code in this browser (RFC 6749 §10.12).
    pub fn state(&self, code: UserCode) -> State {
        State(self.0.derive("state", code.letters().as_bytes()))
    }

    /// The PKCE verifier that belongs to a state (RFC 7636 §4.1): 43 unreserved characters.
    ///
    /// Only the holder of the cookie can make it, which is what PKCE proves.
    pub fn code_verifier(&self, state: &State) -> Secret {
        self.0.derive("code_verifier", state.0.expose())
    }
}

/// The `state` of an authorization request: unguessable, and useless in any other browser.
#[derive(Clone, Debug)]
pub struct State(Secret);

impl State {
    pub fn from_query(value: &str) -> Option<Self> {
        Secret::from_base64url(value).map(Self)
    }

    /// The query parameter: 43 URL-safe characters.
    pub fn to_query(&self) -> String {
        self.0.to_base64url()
    }

    pub fn digest(&self) -> Digest {
        self.0.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_begin_in_one_browser_has_the_same_state() {
        let (browser, code) = (BrowserKey::random(), UserCode::random());
        let again = BrowserKey::from_cookie(&browser.to_cookie()).expect("its own cookie");
        assert_eq!(browser.state(code).digest(), again.state(code).digest());
    }

    #[test]
    fn states_differ_between_browsers_and_logins() {
        let (browser, code) = (BrowserKey::random(), UserCode::random());
        let state = browser.state(code).digest();
        assert_ne!(state, BrowserKey::random().state(code).digest());
        assert_ne!(state, browser.state(UserCode::random()).digest());
    }

    #[test]
    fn the_verifier_comes_back_from_cookie_and_state_alone() {
        let browser = BrowserKey::random();
        let state = browser.state(UserCode::random());
        let verifier = browser.code_verifier(&state).to_base64url();
        let returned = State::from_query(&state.to_query()).expect("its own text");
        assert_eq!(browser.code_verifier(&returned).to_base64url(), verifier);
        assert_ne!(BrowserKey::random().code_verifier(&returned).to_base64url(), verifier);
    }
}
