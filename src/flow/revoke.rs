//! The operator ends grants that are under way.

use crate::db::DatabaseError;
use crate::flow::{DeviceFlow, Origin};
use crate::grant::{Decision, GrantId};
use crate::store::Which;

#[derive(Debug)]
pub enum RevokeOutcome {
    /// All that were asked for; `AllPending` may find none.
    Revoked(Vec<GrantId>),
    /// No grant under way has this code or reference.
    NotFound,
    Failed(DatabaseError),
}

impl DeviceFlow {
    /// Ends grants that are not denied, delivered or expired. Their terminals are answered at once, at every replica.
    pub async fn revoke(&self, which: Which) -> RevokeOutcome {
        match self.store.revoke(which).await {
            Ok(revoked) if revoked.is_empty() && which != Which::AllPending => RevokeOutcome::NotFound,
            Ok(revoked) => {
                for grant in &revoked {
                    drop(self.decided(*grant, Decision::Revoked, Origin::Operator));
                }
                RevokeOutcome::Revoked(revoked)
            }
            Err(error) => RevokeOutcome::Failed(error),
        }
    }
}
