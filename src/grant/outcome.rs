//! The words for what a step finds. SQL answers with them, addresses and pages are named by them: one name for one outcome.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// How a callback ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Done {
    SignedIn,
    /// Approved, and the terminal still polls.
    Waiting,
    /// Approved, and the terminal has not polled for [`INACTIVE_AFTER`](crate::grant::INACTIVE_AFTER).
    Inactive,
    /// Approved, and Postiz refuses the token in a trial.
    TokenRefused,
    /// Approved again after the delivery: Postiz has ended the token that the terminal has.
    Replaced,
    Denied,
    /// This browser did not confirm the code. Nothing has changed.
    WrongBrowser,
    /// This browser did not confirm the code and brought an authorization code: the grant has ended.
    Stopped,
    /// The grant takes no code any more. Nothing was exchanged.
    LinkExpired,
}

impl Done {
    /// The word in the page's address.
    pub fn address(self) -> String {
        <&str>::from(self).replace('_', "-")
    }

    pub fn from_address(word: &str) -> Option<Self> {
        Self::VARIANTS.iter().copied().find(|done| done.address() == word)
    }
}

/// Why an entered code can't go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum CodeProblem {
    /// Not a code; never looked up.
    Malformed,
    Unknown,
    /// Expired or revoked.
    Expired,
    /// Approved or delivered.
    Used,
    Denied,
}

/// What a look-up tells a terminal of its grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Standing {
    Pending,
    /// Undecided, and this poll came sooner than the announced interval after the one before.
    SlowDown,
    /// The token can be delivered.
    Ready,
    Denied,
    /// Expired or revoked.
    Expired,
    /// No grant has this device code, or another client opened it.
    Unknown,
}

/// How a grant was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Decision {
    Approved,
    Denied,
    Revoked,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_back() {
        for done in Done::VARIANTS {
            assert_eq!(Done::from_address(&done.address()), Some(*done));
        }
        assert_eq!(Done::WrongBrowser.address(), "wrong-browser");
        assert_eq!(Done::from_address("wrong_browser"), None);
    }
}
