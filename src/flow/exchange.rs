//! The exchange of an authorization code, and the storing of its token.
//!
//! From the exchange on, this process alone has the token, and the person's older one is gone. So it keeps trying to store it
//! while the database is unavailable, and the stop of the server waits for it.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::db::DatabaseError;
use crate::flow::waiting::WokenPolls;
use crate::flow::{DeviceFlow, Origin};
use crate::grant::{BrowserKey, Decision, Done, GrantId, SealedToken};
use crate::postiz::Reason;
use crate::store::Lease;

/// How long the callback tries to store the token before its page says "one moment".
const FIRST_STORE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a token that Postiz has granted stays in memory while the database is unavailable.
const STORE_RETRY_LIMIT: Duration = Duration::from_mins(10);

/// How an exchange ended.
pub(super) enum Exchanged {
    /// With the held polls that were woken here, and the trial of the token.
    Stored(WokenPolls, Trial),
    /// The grant took no token any more.
    Over(Done),
    /// Postiz granted a token, and storing it is retried in the background.
    NotStored,
    Failed(Reason),
}

/// Whether Postiz refuses the new token.
pub(super) type Trial = JoinHandle<bool>;

impl DeviceFlow {
    pub(super) async fn exchange(
        self: &Arc<Self>,
        lease: &Lease,
        browser: &BrowserKey,
        code: &SecretString,
    ) -> Exchanged {
        let grant = lease.grant.reference();
        info!(grant, "grant claimed: its code is exchanged");
        let verifier = browser.code_verifier(&lease.verifier_salt);
        let credentials = match self.postiz.exchange(lease.postiz_client.as_ref(), code, &verifier).await {
            Ok(credentials) => credentials,
            Err(reason) => {
                self.exchange_failed(lease, reason).await;
                return Exchanged::Failed(reason);
            }
        };
        let trial = self.try_token(lease.grant, credentials.access_token.clone());
        let Ok(token) = lease.sealing_key.seal(&lease.grant, &credentials) else {
            error!(grant, "the token can't be sealed: the grant's key is broken");
            return Exchanged::Failed(Reason::Unreadable);
        };
        drop(credentials);
        match self.store_token(lease, &token, FIRST_STORE_TIMEOUT).await {
            Ok((Done::Waiting, Some(woken))) => Exchanged::Stored(woken, trial),
            Ok((done, _)) => Exchanged::Over(done),
            Err(_) => {
                warn!(grant, "a granted token can't be stored yet, retrying");
                let (flow, lease) = (Arc::clone(self), lease.clone());
                drop(self.background(async move { flow.store_token(&lease, &token, STORE_RETRY_LIMIT).await }));
                Exchanged::NotStored
            }
        }
    }

    async fn exchange_failed(&self, lease: &Lease, reason: Reason) {
        let grant = lease.grant.reference();
        if reason == Reason::ClientRefused {
            error!(grant, %reason, "the exchange failed");
        } else {
            warn!(grant, %reason, spent = reason.spends_code(), "the exchange failed");
        }
        // If this fails too, the lease runs out by itself.
        let _ = self.store.release(lease, reason.spends_code()).await;
    }

    /// In the background: neither the storing nor the delivery waits for it.
    fn try_token(self: &Arc<Self>, grant: GrantId, token: SecretString) -> Trial {
        let flow = Arc::clone(self);
        self.background(async move {
            let refused = flow.postiz.refuses(&token).await;
            if refused {
                let grant = grant.reference();
                warn!(grant, "Postiz refuses the new token: the organization probably has no active subscription");
            }
            refused
        })
    }

    async fn store_token(
        &self,
        lease: &Lease,
        token: &SealedToken,
        limit: Duration,
    ) -> Result<(Done, Option<WokenPolls>), DatabaseError> {
        let done = self.store.approve(lease, token, limit).await?;
        if done == Done::Denied {
            warn!(
                grant = lease.grant.reference(),
                "the grant was denied during its exchange: nobody has the token, but it stays valid at Postiz until the \
                 person ends it under Approved Apps"
            );
        }
        let woken = (done == Done::Waiting).then(|| self.decided(lease.grant, Decision::Approved, Origin::Postiz));
        Ok((done, woken))
    }
}
