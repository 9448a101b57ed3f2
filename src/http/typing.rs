//! Typing a code twice: what is asked for while somebody may be guessing codes.
//!
//! The first time nothing is said of the code; the page holds a mark that only this server can have
//! made, and which lets the same code through the second time. A guess so costs two requests and
//! answers nothing by itself, and a person only types eight letters once more.

use secrecy::ExposeSecret as _;
use subtle::ConstantTimeEq as _;

use crate::config::Config;
use crate::grant::UserCode;
use crate::secret::{Digest, Secret};

/// Makes and knows the marks; the same at every replica.
#[derive(Debug)]
pub struct Typing(Secret);

impl Typing {
    /// Takes its key from the one secret that all replicas have.
    pub fn new(config: &Config) -> Self {
        let digest = Digest::of(config.client_secret.expose_secret().as_bytes());
        Self(Secret::from_bytes(*digest.as_bytes()))
    }

    /// The mark of a code that was typed once: 43 URL-safe characters.
    pub fn mark(&self, code: UserCode) -> String {
        self.of(code).to_base64url()
    }

    /// Whether this is the mark of this code.
    pub fn knows(&self, code: UserCode, mark: &str) -> bool {
        Secret::from_base64url(mark).is_some_and(|mark| mark.expose().ct_eq(self.of(code).expose()).into())
    }

    fn of(&self, code: UserCode) -> Secret {
        self.0.derive("typed once", code.letters().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_good_for_its_code_alone() {
        let typing = Typing(Secret::random());
        let (code, other) = (UserCode::random(), UserCode::random());
        assert!(typing.knows(code, &typing.mark(code)));
        assert!(!typing.knows(other, &typing.mark(code)));
        assert!(!typing.knows(code, ""));
        assert!(!typing.knows(code, &Typing(Secret::random()).mark(code)));
    }
}
