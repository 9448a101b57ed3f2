//! The id that a client gives itself (RFC 6749 §2.2).

use std::str::FromStr;

/// One to 255 printable ASCII characters (RFC 6749 §A.1; the length is ours). No secret, and no proof of anything: it is
/// only compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientId(String);

/// Longer or other text than a client id has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a client id")]
pub struct MalformedClientId;

impl ClientId {
    const MAX_LENGTH: usize = 255;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = MalformedClientId;

    fn from_str(text: &str) -> Result<Self, MalformedClientId> {
        let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let valid = printable && (1..=Self::MAX_LENGTH).contains(&text.len());
        if valid { Ok(Self(text.to_owned())) } else { Err(MalformedClientId) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_printable_ascii_of_limited_length() {
        for valid in ["x", "a client", "~!\"", &"x".repeat(255)] {
            assert_eq!(valid.parse::<ClientId>().as_ref().map(ClientId::as_str), Ok(valid));
        }
        for invalid in ["", "\0", "a\n", "ä", "\u{7f}", &"x".repeat(256)] {
            assert_eq!(invalid.parse::<ClientId>(), Err(MalformedClientId), "{invalid:?}");
        }
    }
}
