//! The device grant: one person's login on one machine, from its opening to the token's delivery. No HTTP, no SQL, no async.
//!
//! Here are its states, the steps between them, and the words for what a step finds. SQL answers with these words, addresses and
//! pages are named by them: one name for one outcome. [`ids`] has codes, names and networks. [`keys`] binds an approval to its
//! browser, and a token to its terminal.
//!
//! The database carries out each step in one statement. A test tries every step in every state on a real Postgres and compares
//! it with [`TRANSITIONS`].

pub mod ids;
pub mod keys;

use std::time::Duration;

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

pub use ids::{ClientId, DeviceCode, GrantId, Networks, PostizClientId, Proximity, UserCode};
pub use keys::{BrowserKey, Credentials, SealedToken, SealingKey, State, VerifierSalt};

/// A terminal that has not polled for this long has probably stopped: a poll is noted once a minute, and the next look-up comes
/// after up to another minute and the longest hold.
pub const INACTIVE_AFTER: Duration = Duration::from_mins(3);

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

/// Each step, the states in which it can be taken, and the state after it. In other states it is refused and changes nothing.
///
/// A claim of an approved grant takes the approval back: pressing Authorize again at Postiz has revoked the token that is
/// stored here, so it must not be delivered.
pub const TRANSITIONS: [(Step, &[Status], Status); 7] = [
    (Step::Begin, &[Status::Pending, Status::Authorizing], Status::Authorizing),
    (Step::Claim, &[Status::Authorizing, Status::Approved], Status::Authorizing),
    (Step::Approve, &[Status::Authorizing], Status::Approved),
    (Step::Deny, &[Status::Pending, Status::Authorizing], Status::Denied),
    (Step::Abandon, &[Status::Authorizing, Status::Approved], Status::Denied),
    (Step::Deliver, &[Status::Approved, Status::Delivered], Status::Delivered),
    (Step::Revoke, &[Status::Pending, Status::Authorizing, Status::Approved], Status::Revoked),
];

impl Status {
    /// The status after a step, or `None` if the step is refused.
    pub fn after(self, step: Step) -> Option<Self> {
        TRANSITIONS.iter().find(|(taken, from, _)| *taken == step && from.contains(&self)).map(|(_, _, after)| *after)
    }
}

/// How a callback ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Done {
    SignedIn,
    /// Approved, and the terminal still polls.
    Waiting,
    /// Approved, and the terminal has not polled for [`INACTIVE_AFTER`].
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
}

/// Why an entered code can't go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr)]
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
pub enum PollStatus {
    Pending,
    /// Undecided, and this poll came sooner than the announced interval after the one before.
    SlowDown,
    /// The token can be delivered.
    Ready,
    /// The terminal has fetched its token many times: it can't save it.
    NotSaved,
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
    fn words_are_read_back() {
        for done in Done::VARIANTS {
            assert_eq!(done.address().replace('-', "_").parse(), Ok(*done));
        }
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
