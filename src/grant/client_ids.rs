//! Two ids that are called `client_id`: the one that a terminal gives itself, and the one that Postiz issues for a grant.

use std::fmt;
use std::str::FromStr;

/// In characters; the columns' checks have the same limit.
const MAX_LENGTH: usize = 255;
/// A longer name would hide the rest of the page.
const MAX_NAME: usize = 40;

/// Not a client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a client id")]
pub struct MalformedClientId;

/// What a client calls itself (RFC 6749 §2.2): one to 255 printable ASCII characters. It proves nothing: it is compared, and
/// shown as what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientId(String);

impl ClientId {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id if it can be shown to a person as a name: at most 40 letters, digits, spaces and `-_.`.
    pub fn name(&self) -> Option<&str> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'_' | b'.');
        let name = self.0.trim();
        (!name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(is_plain)).then_some(name)
    }
}

impl FromStr for ClientId {
    type Err = MalformedClientId;

    /// RFC 6749, appendix A.1.
    fn from_str(text: &str) -> Result<Self, MalformedClientId> {
        let is_valid = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if is_valid { Ok(Self(text.to_owned())) } else { Err(MalformedClientId) }
    }
}

/// The client that Postiz registered for one grant (RFC 7591 §3.2.1). Not a secret: it travels in the authorization URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostizClientId(String);

impl PostizClientId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PostizClientId {
    type Err = MalformedClientId;

    /// RFC 6749, appendix A.1, without the space.
    fn from_str(text: &str) -> Result<Self, MalformedClientId> {
        let is_valid = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_valid { Ok(Self(text.to_owned())) } else { Err(MalformedClientId) }
    }
}

impl fmt::Display for PostizClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_ids_are_printable_ascii() {
        for text in ["a", "my cli/1.0", &"x".repeat(255)] {
            assert_eq!(text.parse::<ClientId>().unwrap().as_str(), text);
        }
        for text in ["", "ü", "a\nb", &"x".repeat(256)] {
            assert!(text.parse::<ClientId>().is_err(), "{text:?}");
        }
        for text in ["pcd_0123456789abcdef", "!", &"x".repeat(255)] {
            assert_eq!(text.parse::<PostizClientId>().unwrap().as_str(), text);
        }
        for text in ["", "two words", "tab\t", "ü", &"x".repeat(256)] {
            assert!(text.parse::<PostizClientId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_plain_ids_are_shown_as_names() {
        let name = |text: &str| text.parse::<ClientId>().unwrap().name().map(str::to_owned);
        assert_eq!(name(" nightly-report "), Some("nightly-report".to_owned()));
        assert_eq!(name("My CLI 1.0_b"), Some("My CLI 1.0_b".to_owned()));
        for text in ["<b>", "a\"b", "https://evil.example", " ", &"x".repeat(41)] {
            assert_eq!(name(text), None, "{text:?}");
        }
    }
}
