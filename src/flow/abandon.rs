//! A browser that did not confirm a login brings an authorization code for it.
//!
//! Somebody was sent a link to Postiz's consent page, or changed browsers. The code belongs to the person at this browser,
//! and its token must not reach the terminal. So the grant ends. For an app that was created by hand, Postiz takes a code
//! from any browser, so it could be brought into another login: it is used up.

use std::net::IpAddr;

use secrecy::SecretString;
use tracing::{info, warn};

use crate::db::DatabaseError;
use crate::flow::{DeviceFlow, Origin};
use crate::grant::{Decision, GrantId, State};
use crate::metrics::Limit;
use crate::postiz::Reason;
use crate::secret::Digest;
use crate::store::{Abandonment, LeaseHolder};

impl DeviceFlow {
    /// Ends the grant, and makes the code worthless in the background. Has to run to its end even if the tab is closed: a
    /// repetition finds that the code was brought already.
    pub(super) async fn abandon(
        &self,
        state: State,
        code: SecretString,
        client: Option<IpAddr>,
    ) -> Result<Abandonment, DatabaseError> {
        let digest = Digest::of_text(&code);
        let abandonment = self.fairly(client, self.store.abandon(&state, &digest, &LeaseHolder::random())).await?;
        if let Abandonment::Ended(grant) = abandonment {
            drop(self.decided(grant, Decision::Denied, Origin::WrongBrowser));
        }
        if let Abandonment::Ended(grant) | Abandonment::AlreadyOver(grant) = abandonment {
            self.spend(grant, state, code, client);
        }
        Ok(abandonment)
    }

    /// A client that was registered for the grant needs none of this: without this server's verifier, nobody can redeem its
    /// code.
    fn spend(&self, grant: GrantId, state: State, code: SecretString, client: Option<IpAddr>) {
        if self.postiz.registers() {
            return;
        }
        let grant = grant.reference();
        if self.limits.wasted_exchange(client).is_err() {
            self.limited(Limit::Exchanges);
            warn!(
                grant,
                "a code from another browser stays valid for up to 10 minutes: its network has brought too many"
            );
            return;
        }
        let flow = self.clone();
        let work = async move {
            match flow.postiz.spend(&code, &state).await {
                Ok(()) => info!(grant, "a code from another browser was used up, and its token dropped"),
                Err(Reason::CodeRefused) => {
                    info!(grant, "a code from another browser is worthless: Postiz refused it");
                }
                Err(failure) => warn!(grant, reason = %failure, "a code from another browser may still be valid"),
            }
        };
        drop(self.background(work));
    }
}
