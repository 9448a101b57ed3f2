//! Codes, states and cookies: what is read is written back the same, and nothing else is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postiz_auth_server::grant::{BrowserKey, DeviceCode, State, UserCode};

fuzz_target!(|text: &str| {
    if let Ok(code) = text.parse::<UserCode>() {
        let shown = code.to_string();
        assert_eq!(shown.len(), 9);
        assert_eq!(shown.parse(), Ok(code));
        assert!(code.letters().bytes().all(|letter| UserCode::ALPHABET.contains(&letter)));
    }
    if let Ok(code) = text.parse::<DeviceCode>() {
        assert_eq!(code.to_hex(), text.to_ascii_lowercase());
    }
    if let Some(state) = State::from_query(text) {
        assert_eq!(state.to_query(), text);
    }
    if let Some(key) = BrowserKey::from_cookie(text) {
        assert_eq!(key.to_cookie(), text);
    }
});
