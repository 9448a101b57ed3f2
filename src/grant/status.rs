//! The states of a grant and the steps between them.
//!
//! [`Status::after`] is the whole table. The database carries out each step in one statement; a test
//! tries every step in every state on a real Postgres and compares it with this table.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Where a grant is, as the database stores it. *Expired* is not here: it follows from the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Opened by a terminal; nobody has confirmed the code yet.
    Pending,
    /// A browser confirmed the code and was sent to Postiz.
    Authorizing,
    /// Postiz granted a token; it waits, sealed, for the terminal.
    Approved,
    /// The person said no, here or at Postiz.
    Denied,
    /// The terminal has the token; it may ask again for a short while, should the reply be lost.
    Delivered,
}

/// What can be done to a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The code is confirmed on the page.
    Begin,
    /// A callback takes the lease for the exchange of an authorization code not seen before.
    Claim,
    /// The exchange succeeded.
    Approve,
    /// The person declined.
    Deny,
    /// The terminal is handed the token.
    Deliver,
    /// The operator ends it: its time is over at once.
    Revoke,
}

impl Status {
    /// Every status, for tests and tables.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Authorizing, Self::Approved, Self::Denied, Self::Delivered];

    /// The status after a step, or `None` where the step is refused and changes nothing.
    ///
    /// A revoked grant is pending and past its time, which no step takes any more.
    ///
    /// A claim of an approved grant takes it back: pressing Authorize again at Postiz has revoked
    /// the token that waits here, so it must not be delivered any more.
    pub fn after(self, step: Step) -> Option<Self> {
        match (self, step) {
            (Self::Pending | Self::Authorizing, Step::Begin) | (Self::Authorizing | Self::Approved, Step::Claim) => {
                Some(Self::Authorizing)
            }
            (Self::Authorizing, Step::Approve) => Some(Self::Approved),
            (Self::Pending | Self::Authorizing, Step::Deny) => Some(Self::Denied),
            (Self::Approved | Self::Delivered, Step::Deliver) => Some(Self::Delivered),
            (Self::Pending | Self::Authorizing | Self::Approved, Step::Revoke) => Some(Self::Pending),
            (Self::Approved | Self::Denied | Self::Delivered, Step::Begin | Step::Deny)
            | (Self::Pending | Self::Denied | Self::Delivered, Step::Claim | Step::Approve)
            | (Self::Approved, Step::Approve)
            | (Self::Denied | Self::Delivered, Step::Revoke)
            | (Self::Pending | Self::Authorizing | Self::Denied, Step::Deliver) => None,
        }
    }

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Authorizing => "authorizing",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Delivered => "delivered",
        }
    }
}

impl Step {
    /// Every step, for tests and tables.
    pub const ALL: [Self; 6] = [Self::Begin, Self::Claim, Self::Approve, Self::Deny, Self::Deliver, Self::Revoke];
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is none of ours: the row was written by a newer version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown status")]
pub struct UnknownStatus;

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(word: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or(UnknownStatus)
    }
}

/// What a terminal may be told about its grant, by the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has decided yet.
    Waiting {
        /// Time until the grant expires; zero while an exchange begun in time is under way.
        remaining: Duration,
    },
    /// The token can be fetched.
    Ready,
    /// The person said no.
    Denied,
    /// The grant's time is over.
    Expired,
}

/// A terminal that has not asked for so long has probably gone away: more than twice the minute in
/// which a poll is noted once.
pub const INACTIVE_AFTER: Duration = Duration::from_secs(150);

/// How a grant was settled: what wakes a waiting terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The token can be fetched.
    Approved,
    /// The person said no.
    Denied,
    /// The operator ended it: its time is over.
    Revoked,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("expired".parse::<Status>(), Err(UnknownStatus));
    }

    #[test]
    fn a_denied_grant_stays_denied() {
        assert!(Step::ALL.into_iter().all(|step| Status::Denied.after(step).is_none()));
    }

    #[test]
    fn a_delivered_grant_can_only_be_delivered_again() {
        for step in Step::ALL {
            let after = Status::Delivered.after(step);
            assert_eq!(after.is_some(), step == Step::Deliver);
        }
    }
}
