//! Postiz in a few lines: one code and one token for each person, and a person is a browser.

use std::collections::HashMap;

use postiz_auth_server::secret::Secret;

/// Codes are numbered over the whole story.
pub type Code = usize;
pub type Browser = usize;

#[derive(Default)]
pub struct Postiz {
    codes: HashMap<Browser, Code>,
    tokens: HashMap<Browser, String>,
}

impl Postiz {
    /// A new code; the person's older one is gone, and so is their token.
    pub fn authorize(&mut self, person: Browser, code: Code) {
        self.codes.insert(person, code);
        self.tokens.remove(&person);
    }

    /// A token, if the code is still good; then it no longer is.
    pub fn exchange(&mut self, person: Browser, code: Code) -> Option<String> {
        if self.codes.get(&person) != Some(&code) {
            return None;
        }
        self.codes.remove(&person);
        let token = format!("pos_{}", Secret::random().to_base64url());
        self.tokens.insert(person, token.clone());
        Some(token)
    }

    pub fn is_live(&self, token: &str) -> bool {
        self.tokens.values().any(|live| live == token)
    }
}
