//! The right to exchange an authorization code, which one callback holds at a time.

use crate::grant::{GrantId, SealingKey, UserCode};
use crate::secret::Digest;

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
    pub(super) code: Digest,
    pub(super) holder: LeaseHolder,
}
