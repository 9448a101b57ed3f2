//! The states of a grant and the steps between them.
//!
//! [`Status::after`] is the whole table. The database carries out each step in one statement; a test
//! tries every step in every state on a real Postgres and compares it with this table.

use std::time::Duration;

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// Where a grant is, as the word in its `status` column. *Expired* is not a status: it follows from the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Opened by a terminal; nobody has confirmed the code yet.
    Pending,
    /// A browser confirmed the code and was sent to Postiz.
    Authorizing,
    /// Postiz granted a token, which is sealed and not yet delivered.
    Approved,
    /// The person declined, here or at Postiz.
    Denied,
    /// The terminal has the token. It may ask again for a minute, if the reply was lost.
    Delivered,
    /// The operator ended it.
    Revoked,
}

/// What can be done to a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, VariantArray)]
pub enum Step {
    /// The code is confirmed on the page.
    Begin,
    /// A callback takes the lease for the exchange of an authorization code not seen before.
    Claim,
    /// The exchange succeeded.
    Approve,
    /// The person declined.
    Deny,
    /// A callback brings a code in a browser that did not confirm the login.
    Abandon,
    /// The terminal receives the token.
    Deliver,
    /// The operator ends it.
    Revoke,
}

impl Status {
    /// The status after a step, or `None` if the step is refused and changes nothing.
    ///
    /// A claim of an approved grant takes the approval back: pressing Authorize again at Postiz has revoked the token that
    /// is stored here, so it must not be delivered.
    pub fn after(self, step: Step) -> Option<Self> {
        match (self, step) {
            (Self::Pending | Self::Authorizing, Step::Begin) | (Self::Authorizing | Self::Approved, Step::Claim) => {
                Some(Self::Authorizing)
            }
            (Self::Authorizing, Step::Approve) => Some(Self::Approved),
            (Self::Pending | Self::Authorizing, Step::Deny) | (Self::Authorizing | Self::Approved, Step::Abandon) => {
                Some(Self::Denied)
            }
            (Self::Approved | Self::Delivered, Step::Deliver) => Some(Self::Delivered),
            (Self::Pending | Self::Authorizing | Self::Approved, Step::Revoke) => Some(Self::Revoked),
            (Self::Approved | Self::Denied | Self::Delivered | Self::Revoked, Step::Begin | Step::Deny)
            | (
                Self::Pending | Self::Denied | Self::Delivered | Self::Revoked,
                Step::Claim | Step::Approve | Step::Abandon,
            )
            | (Self::Approved, Step::Approve)
            | (Self::Denied | Self::Delivered | Self::Revoked, Step::Revoke)
            | (Self::Pending | Self::Authorizing | Self::Denied | Self::Revoked, Step::Deliver) => None,
        }
    }
}

/// A terminal that has not polled for this long has probably stopped: more than twice the minute in which a poll is noted
/// once.
pub const INACTIVE_AFTER: Duration = Duration::from_secs(150);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for status in Status::VARIANTS {
            assert_eq!(status.to_string().parse(), Ok(*status));
        }
        assert!("expired".parse::<Status>().is_err());
    }

    #[test]
    fn a_denied_or_revoked_grant_stays_so() {
        for status in [Status::Denied, Status::Revoked] {
            assert!(Step::VARIANTS.iter().all(|step| status.after(*step).is_none()));
        }
    }

    #[test]
    fn a_delivered_grant_can_only_be_delivered_again() {
        for step in Step::VARIANTS {
            let after = Status::Delivered.after(*step);
            assert_eq!(after.is_some(), *step == Step::Deliver);
        }
    }
}
