//! The exchange of an authorization code, and the storing of its token.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::SecretString;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::db::DatabaseError;
use crate::flow::registry::WokenPolls;
use crate::flow::{DeviceFlow, Origin};
use crate::grant::{BrowserKey, Decision, GrantId, SealedToken, State};
use crate::postiz::Reason;
use crate::store::{Approval, Lease};

/// How long the callback tries to store the token before its page says "one moment".
const FIRST_STORE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a token that Postiz has granted stays in memory while the database is unavailable.
const STORE_RETRY_LIMIT: Duration = Duration::from_mins(10);

/// How an exchange ended.
pub(super) enum Exchanged {
    /// With the held polls that were woken here, if any, and the trial of the token.
    Stored(Approval, Option<WokenPolls>, Trial),
    /// Postiz granted a token, and storing it is retried in the background.
    NotStored,
    Failed(Reason),
}

/// Whether Postiz refuses the new token.
pub(super) type Trial = JoinHandle<bool>;

impl DeviceFlow {
    /// Has to run to its end even if the person closes the tab: Postiz has revoked their older token already.
    pub(super) async fn exchange(
        &self,
        lease: &Lease,
        state: &State,
        browser: &BrowserKey,
        code: &SecretString,
        client: Option<IpAddr>,
    ) -> Exchanged {
        let grant = lease.grant.reference();
        info!(grant, "grant claimed: its code is exchanged");
        let credentials = match self.postiz.exchange(lease.postiz_client.as_ref(), code, browser, state).await {
            Ok(credentials) => credentials,
            Err(failure) => {
                self.exchange_failed(lease, failure, client).await;
                return Exchanged::Failed(failure);
            }
        };
        let trial = self.try_token(lease.grant, credentials.access_token.clone());
        let Ok(token) = lease.sealing_key.seal(&lease.grant, &credentials) else {
            error!(grant, "the token can't be sealed: the grant's key is broken");
            return Exchanged::Failed(Reason::Unreadable);
        };
        drop(credentials);
        match self.store_token(lease, &token, FIRST_STORE_TIMEOUT).await {
            Ok((approval, woken)) => Exchanged::Stored(approval, woken, trial),
            Err(_) => {
                warn!(grant, "a granted token can't be stored yet, retrying");
                let (flow, lease) = (self.clone(), lease.clone());
                drop(self.background(async move { flow.store_token(&lease, &token, STORE_RETRY_LIMIT).await }));
                Exchanged::NotStored
            }
        }
    }

    async fn exchange_failed(&self, lease: &Lease, failure: Reason, client: Option<IpAddr>) {
        let grant = lease.grant.reference();
        if failure == Reason::ClientRefused {
            error!(grant, reason = %failure, "the exchange failed");
        } else {
            warn!(grant, reason = %failure, spent = failure.spends_code(), "the exchange failed");
        }
        if failure == Reason::CodeRefused {
            self.limits.exchange_refused(client);
        }
        // If this fails too, the lease runs out by itself.
        let _ = if failure == Reason::ClientForgotten {
            self.store.release_without_client(lease).await
        } else {
            self.store.release(lease, failure.spends_code()).await
        };
    }

    /// In the background: neither the storing nor the delivery waits for it.
    fn try_token(&self, grant: GrantId, token: SecretString) -> Trial {
        let flow = self.clone();
        let trial = async move {
            let refused = flow.postiz.refuses(&token).await;
            if refused {
                let grant = grant.reference();
                warn!(grant, "Postiz refuses the new token: the organization probably has no active subscription");
            }
            refused
        };
        self.background(trial)
    }

    async fn store_token(
        &self,
        lease: &Lease,
        token: &SealedToken,
        limit: Duration,
    ) -> Result<(Approval, Option<WokenPolls>), DatabaseError> {
        let approval = self.store.approve(lease, token, limit).await?;
        if approval == Approval::Denied {
            let grant = lease.grant.reference();
            warn!(
                grant,
                "the grant was denied during its exchange: nobody has the token, but it stays valid at Postiz until the \
                 person ends it under Approved Apps"
            );
        }
        let woken =
            (approval == Approval::Approved).then(|| self.decided(lease.grant, Decision::Approved, Origin::Postiz));
        Ok((approval, woken))
    }
}
