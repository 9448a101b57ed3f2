//! Postiz sends the person back with an authorization code, or with a refusal.
//!
//! The code is exchanged exactly once, under a lease. From the exchange on, this process alone has the token, and the person's
//! older one is gone. So it keeps trying to store it while the database is unavailable, and the stop of the server waits for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{error, info, warn};

use crate::db::DatabaseError;
use crate::flow::{DeviceFlow, Origin, Trouble, Viewer};
use crate::grant::{BrowserKey, Decision, Done, GrantId, SealedToken, State, UserCode};
use crate::limits::Permit;
use crate::postiz::Reason;
use crate::secret::Digest;
use crate::store::{Claim, Lease, LeaseHolder};

/// A callback waits this long in line, and for the outcome of another one: longer than an exchange.
const CLAIM_WAIT: Duration = Duration::from_secs(11);
const CLAIM_RETRY: Duration = Duration::from_millis(250);
/// How long the callback tries to store the token before its page says "one moment".
const FIRST_STORE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a token that Postiz has granted stays in memory while the database is unavailable.
const STORE_RETRY_LIMIT: Duration = Duration::from_mins(10);
/// When to ask the database whether the terminal has fetched its token from another replica. It mostly does within
/// milliseconds, and the page waits a little to say so.
const DELIVERY_CHECKS: [Duration; 4] =
    [Duration::from_millis(60), Duration::from_millis(90), Duration::from_millis(300), Duration::from_millis(550)];
/// The page waits no longer for the trial of the token than it may wait for the delivery.
const TRIAL_WAIT: Duration = Duration::from_secs(1);

/// The authorization response (RFC 6749 §4.1.2).
#[derive(Debug)]
pub enum AuthorizationResponse {
    Code {
        state: State,
        code: SecretString,
    },
    Denied {
        state: State,
    },
    /// Another error. Its text is not shown to anyone.
    Failed,
}

#[derive(Debug)]
pub enum CallbackOutcome {
    Done(Option<GrantId>, Done),
    /// An exchange or the storing of its token is under way; the same URL tells more in a moment.
    InProgress(GrantId),
    /// The exchange failed, and the code may still be good: the same URL can be tried again.
    TryAgain(GrantId, Reason),
    /// The code is spent: the same login can be approved again.
    ApproveAgain {
        grant: GrantId,
        user_code: UserCode,
        reason: Reason,
    },
}

impl AuthorizationResponse {
    /// Reads the query. `None` if the state can't be one of ours.
    pub fn from_query(query: &str) -> Option<Self> {
        let (mut state, mut code, mut error) = (None, None, None);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "state" => state = State::from_query(&value),
                "code" if !value.is_empty() => code = Some(value.into_owned().into()),
                "error" => error = Some(value),
                _ => {}
            }
        }
        let state = state?;
        Some(match (error.as_deref(), code) {
            (Some("access_denied"), _) => Self::Denied { state },
            (None, Some(code)) => Self::Code { state, code },
            (Some(_), _) | (None, None) => Self::Failed,
        })
    }
}

impl DeviceFlow {
    /// Exchanges the code, exactly once, or ends the grant. Goes on to its end if the person closes the tab: Postiz has ended
    /// their older token already.
    pub async fn callback(
        self: &Arc<Self>,
        response: AuthorizationResponse,
        Viewer { address, browser }: Viewer,
    ) -> Result<CallbackOutcome, Trouble> {
        let flow = Arc::clone(self);
        let work = async move {
            flow.limits.callback(address)?;
            let owner = |state: &State| browser.filter(|browser| browser.owns(state));
            match response {
                AuthorizationResponse::Code { state, code } => match owner(&state) {
                    Some(browser) => flow.approved(&state, &browser, &code, address).await,
                    None => flow.abandoned(&state, &code, address).await,
                },
                AuthorizationResponse::Denied { state } => match owner(&state) {
                    Some(browser) => flow.denied(&state, &browser, address).await,
                    None => Ok(CallbackOutcome::Done(None, Done::WrongBrowser)),
                },
                AuthorizationResponse::Failed => Ok(CallbackOutcome::Done(None, Done::LinkExpired)),
            }
        };
        self.task(work).await
    }

    async fn approved(
        self: &Arc<Self>,
        state: &State,
        browser: &BrowserKey,
        code: &SecretString,
        client: Option<IpAddr>,
    ) -> Result<CallbackOutcome, Trouble> {
        let (digest, holder) = (Digest::of_text(code), LeaseHolder::random());
        let (grant, deadline) = (state.grant, Instant::now() + CLAIM_WAIT);
        loop {
            // In line for Postiz before the claim: a lease does not wait.
            let permit = timeout_at(deadline, self.limits.postiz_request(client)).await;
            let Ok(permit) = permit else { return Ok(CallbackOutcome::InProgress(grant)) };
            let permit = permit?;
            match self.in_line(client, self.store.claim(state, browser, &digest, &holder)).await? {
                Claim::Claimed(lease) => return Ok(self.exchange(&lease, browser, code, permit).await),
                Claim::InProgress if Instant::now() + CLAIM_RETRY < deadline => drop(permit),
                Claim::InProgress => return Ok(CallbackOutcome::InProgress(grant)),
                Claim::CodeSpent(user_code) => {
                    return Ok(CallbackOutcome::ApproveAgain { grant, user_code, reason: Reason::CodeRefused });
                }
                Claim::Over(done) => return Ok(CallbackOutcome::Done(Some(grant), done)),
            }
            sleep(CLAIM_RETRY).await;
        }
    }

    async fn exchange(
        self: &Arc<Self>,
        lease: &Lease,
        browser: &BrowserKey,
        code: &SecretString,
        permit: Permit,
    ) -> CallbackOutcome {
        let grant = lease.grant;
        info!(grant = grant.reference(), "grant claimed: its code is exchanged");
        let verifier = browser.code_verifier(&lease.verifier_salt);
        let exchanged = self.postiz.exchange(lease.postiz_client.as_ref(), code, &verifier).await;
        drop(permit);
        let credentials = match exchanged {
            Ok(credentials) => credentials,
            Err(reason) => return self.exchange_failed(lease, reason).await,
        };
        let (trial, deliveries) =
            (self.try_token(grant, credentials.access_token.clone()), self.deliveries.subscribe());
        let Ok(token) = lease.sealing_key.seal(&grant, &credentials) else {
            error!(grant = grant.reference(), "the token can't be sealed: the grant's key is broken");
            return self.exchange_failed(lease, Reason::Unreadable).await;
        };
        drop(credentials);
        match self.store_token(lease, &token, FIRST_STORE_TIMEOUT).await {
            Ok(Done::Waiting) => {
                let (terminal, trial) = tokio::join!(self.terminal(grant, deliveries), timeout(TRIAL_WAIT, trial));
                let is_refused = matches!(trial, Ok(Ok(true))) && terminal != Done::Inactive;
                CallbackOutcome::Done(Some(grant), if is_refused { Done::TokenRefused } else { terminal })
            }
            // The grant took no token any more.
            Ok(done) => CallbackOutcome::Done(Some(grant), done),
            Err(_) => {
                warn!(grant = grant.reference(), "a granted token can't be stored yet, retrying");
                let (flow, lease) = (Arc::clone(self), lease.clone());
                drop(self.background(async move {
                    if let Err(error) = flow.store_token(&lease, &token, STORE_RETRY_LIMIT).await {
                        error!(grant = lease.grant.reference(), %error, "a granted token is lost: it could not be stored");
                    }
                }));
                CallbackOutcome::InProgress(grant)
            }
        }
    }

    async fn exchange_failed(&self, lease: &Lease, reason: Reason) -> CallbackOutcome {
        let (grant, spent) = (lease.grant, reason.spends_code());
        if reason == Reason::ClientRefused {
            error!(grant = grant.reference(), %reason, "the exchange failed");
        } else {
            warn!(grant = grant.reference(), %reason, spent, "the exchange failed");
        }
        // If this fails too, the lease runs out by itself.
        let _ = self.store.release(lease, spent).await;
        match reason {
            // The grant's client is gone, and with it every code for it.
            Reason::ClientForgotten => CallbackOutcome::Done(Some(grant), Done::LinkExpired),
            _ if spent => CallbackOutcome::ApproveAgain { grant, user_code: lease.user_code, reason },
            _ => CallbackOutcome::TryAgain(grant, reason),
        }
    }

    /// Whether Postiz refuses the new token. Neither the storing nor the delivery waits for it.
    fn try_token(self: &Arc<Self>, grant: GrantId, token: SecretString) -> JoinHandle<bool> {
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

    async fn store_token(&self, lease: &Lease, token: &SealedToken, limit: Duration) -> Result<Done, DatabaseError> {
        let done = self.store.approve(lease, token, limit).await?;
        if done == Done::Waiting {
            self.decided(lease.grant, Decision::Approved, Origin::Postiz);
        } else {
            warn!(
                grant = lease.grant.reference(),
                outcome = <&str>::from(done),
                "the grant ended during its exchange: nobody has the token, but it stays valid at Postiz until the person ends \
                 it under Approved Apps, or approves again"
            );
        }
        Ok(done)
    }

    /// What the terminal is doing, after a short wait for its delivery: here, or at another replica.
    async fn terminal(&self, grant: GrantId, mut deliveries: Receiver<GrantId>) -> Done {
        let delivered_here = async { while deliveries.recv().await != Ok(grant) {} };
        let found_in_database = async {
            let mut found = Done::Waiting;
            for delay in DELIVERY_CHECKS {
                sleep(delay).await;
                match self.store.terminal(grant).await {
                    Ok(Some(terminal)) => found = terminal,
                    Ok(None) | Err(_) => break,
                }
                if found == Done::SignedIn {
                    break;
                }
            }
            found
        };
        tokio::select! {
            () = delivered_here => Done::SignedIn,
            found = found_in_database => found,
        }
    }

    /// A browser that did not confirm a login brings an authorization code for it. Somebody was sent a link to Postiz's consent
    /// page, or changed browsers. The code belongs to the person at this browser, and its token must not reach the terminal. So
    /// the grant ends, and the code is exchanged nowhere: the page's address does not hold it.
    async fn abandoned(
        &self,
        state: &State,
        code: &SecretString,
        client: Option<IpAddr>,
    ) -> Result<CallbackOutcome, Trouble> {
        let code = Digest::of_text(code);
        let refusal = self.in_line(client, self.store.abandon(state, &code)).await?;
        if refusal.applied {
            self.decided(state.grant, Decision::Denied, Origin::WrongBrowser);
        }
        // An unknown state is not ours, and has no reference.
        let grant = (refusal.outcome != Done::LinkExpired).then_some(state.grant);
        Ok(CallbackOutcome::Done(grant, refusal.outcome))
    }

    async fn denied(
        &self,
        state: &State,
        browser: &BrowserKey,
        client: Option<IpAddr>,
    ) -> Result<CallbackOutcome, Trouble> {
        let refusal = self.in_line(client, self.store.deny_at_postiz(state, browser)).await?;
        if refusal.applied {
            self.decided(state.grant, Decision::Denied, Origin::Postiz);
        }
        Ok(CallbackOutcome::Done(Some(state.grant), refusal.outcome))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::DeviceCode;

    #[test]
    fn an_authorization_response_is_a_code_a_refusal_or_a_failure() {
        let state = BrowserKey::random().state(DeviceCode::random().grant_id()).to_query();
        let read = |query: &str| AuthorizationResponse::from_query(&query.replace("STATE", &state));
        assert!(matches!(read("state=STATE&code=abc"), Some(AuthorizationResponse::Code { .. })));
        assert!(matches!(read("error=access_denied&state=STATE&code=abc"), Some(AuthorizationResponse::Denied { .. })));
        for query in ["state=STATE", "state=STATE&code=", "state=STATE&error=server_error&code=abc"] {
            assert!(matches!(read(query), Some(AuthorizationResponse::Failed)), "{query}");
        }
        assert!(read("code=abc").is_none() && read("code=abc&state=short").is_none());
    }
}
