//! Values that more than one file of the store uses.

use std::time::Duration;

use crate::grant::{ClientId, GrantId, PostizClientId, SealingKey, UserCode};
use crate::secret::{Digest, LENGTH};

/// Authorization codes of one grant that are exchanged. An honest login needs a second one after a failure or a second
/// click. Each more is a request to Postiz, with the client secret, that its terminal did not need.
pub(super) const MAX_CODES: i32 = 3;

/// Tells one callback's attempts from another's: a random number for each callback.
#[derive(Debug, Clone)]
pub struct LeaseHolder(pub(super) [u8; 16]);

impl LeaseHolder {
    pub fn random() -> Self {
        Self(rand::random())
    }
}

/// The right to exchange one authorization code for one grant.
#[derive(Debug, Clone)]
pub struct Lease {
    pub grant: GrantId,
    pub user_code: UserCode,
    pub sealing_key: SealingKey,
    /// If Postiz refuses this code, no other one is taken.
    pub is_last_code: bool,
    /// The client that was registered for this grant, if one was.
    pub postiz_client: Option<PostizClientId>,
    pub(super) code: Digest,
    pub(super) holder: LeaseHolder,
}

/// What the database keeps of a new grant.
#[derive(Debug, Clone)]
pub(super) struct NewGrant {
    pub(super) id: GrantId,
    pub(super) user_code: UserCode,
    pub(super) sealing_key: SealingKey,
    pub(super) requester: Option<String>,
    pub(super) client_id: Option<ClientId>,
    pub(super) mac: Option<[u8; LENGTH]>,
}

/// The part of a grant's status that its terminal may know, by the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Undecided. `remaining` is the time until the grant expires, zero while an exchange begun in time is under way.
    Pending {
        remaining: Duration,
    },
    /// The token can be delivered.
    Ready,
    Denied,
    /// Expired or revoked.
    Expired,
    Unknown,
}
