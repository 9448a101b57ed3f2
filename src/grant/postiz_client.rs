//! The client at Postiz under which one grant is approved and its code exchanged.

use std::fmt;
use std::str::FromStr;

/// A client id that Postiz issued for one grant (RFC 7591 §3.2.1). Not a secret: it travels in the authorization URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostizClientId(String);

/// Not a client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a client id")]
pub struct NoClientId;

impl PostizClientId {
    /// In characters; the column's check has the same limit.
    const MAX_LENGTH: usize = 255;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PostizClientId {
    type Err = NoClientId;

    /// RFC 6749, appendix A.1, without the space.
    fn from_str(text: &str) -> Result<Self, NoClientId> {
        let is_valid = (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_valid { Ok(Self(text.to_owned())) } else { Err(NoClientId) }
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
    fn a_client_id_is_short_and_visible() {
        assert_eq!("pcd_a.B-9~".parse::<PostizClientId>().map(|id| id.to_string()).as_deref(), Ok("pcd_a.B-9~"));
        for text in ["", "pcd a", "pcd_a\n", "pcd_\u{e9}", &"p".repeat(256)] {
            assert!(text.parse::<PostizClientId>().is_err(), "{text:?}");
        }
    }
}
