//! Postiz sends the person back with an authorization code, or with a refusal.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::{Instant, sleep, timeout};
use tracing::error;

use crate::db::DatabaseError;
use crate::flow::exchange::Exchanged;
use crate::flow::registry::WokenPolls;
use crate::flow::{DeviceFlow, Origin, Viewer};
use crate::grant::{BrowserKey, Decision, GrantId, State, Terminal, UserCode};
use crate::metrics::{GrantEvent, Limit};
use crate::postiz::Reason;
use crate::secret::Digest;
use crate::store::{Abandonment, Approval, Claim, Denial, Lease, LeaseHolder};

/// A second callback waits this long for the first one's outcome: longer than an exchange.
const CLAIM_WAIT: Duration = Duration::from_secs(11);
const CLAIM_RETRY: Duration = Duration::from_millis(250);
/// When to look whether the terminal has fetched its token. It mostly does within milliseconds, and the page waits a
/// little to say so.
const DELIVERY_CHECKS: [Duration; 4] =
    [Duration::from_millis(30), Duration::from_millis(120), Duration::from_millis(300), Duration::from_millis(550)];

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
    /// The token is stored, and this is what the terminal is doing.
    Approved(GrantId, Terminal),
    /// The token is stored, but Postiz refuses it: probably, the organization has no subscription.
    TokenRefused(GrantId),
    /// An exchange or the storing of its token is under way; the same URL tells more in a moment.
    InProgress(GrantId),
    /// The terminal had a token already, which this second approval has revoked at Postiz.
    Replaced(GrantId),
    Denied(GrantId),
    /// The exchange failed, and the code may still be good: the same URL can be tried again.
    TryAgain(GrantId, Reason),
    /// The code is spent: the same login can be approved again.
    ApproveAgain {
        grant: GrantId,
        user_code: UserCode,
        reason: Reason,
    },
    /// This browser did not confirm the code. Nothing has changed.
    WrongBrowser,
    /// This browser did not confirm the code and brings an authorization code, so the grant has ended.
    Abandoned(GrantId),
    /// The state is unknown, or the grant takes no code any more. Nothing was exchanged.
    LinkExpired(Option<GrantId>),
    /// Too many codes from this network were refused. The same URL can be tried later.
    RateLimited {
        grant: GrantId,
        retry_after: Duration,
    },
    /// Nothing was exchanged: too many statements are under way. The same URL can be tried again.
    Overloaded,
    Unavailable,
    /// A bug: the exchange panicked.
    Failed(GrantId),
}

impl From<DatabaseError> for CallbackOutcome {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Overloaded => Self::Overloaded,
            DatabaseError::Unavailable | DatabaseError::Refused => Self::Unavailable,
        }
    }
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
    /// Exchanges the code, exactly once, or ends the grant.
    pub async fn callback(&self, response: AuthorizationResponse, viewer: &Viewer) -> CallbackOutcome {
        match (response, viewer.browser.clone()) {
            (AuthorizationResponse::Code { state, code }, Some(browser)) => {
                self.approved(state, browser, code, viewer.address).await
            }
            (AuthorizationResponse::Code { state, code }, None) => self.abandoned(state, code, viewer.address).await,
            (AuthorizationResponse::Denied { state }, Some(browser)) => {
                self.denied(&state, &browser, viewer.address).await
            }
            (AuthorizationResponse::Denied { .. }, None) => CallbackOutcome::WrongBrowser,
            (AuthorizationResponse::Failed, _) => CallbackOutcome::LinkExpired(None),
        }
    }

    async fn approved(
        &self,
        state: State,
        browser: BrowserKey,
        code: SecretString,
        client: Option<IpAddr>,
    ) -> CallbackOutcome {
        let claim = match self.claim(&state, &browser, &code, client).await {
            Ok(claim) => claim,
            Err(error) => return error.into(),
        };
        match claim {
            Claim::Claimed(lease) => {
                if let Err(limited) = self.limits.exchange(client) {
                    self.limited(Limit::Exchanges);
                    // If this fails, the lease runs out by itself.
                    let _ = self.store.release(&lease, false).await;
                    return CallbackOutcome::RateLimited { grant: lease.grant, retry_after: limited.retry_after };
                }
                let (flow, work) = (self.clone(), lease.clone());
                match self.finish(async move { flow.exchange(&work, &state, &browser, &code, client).await }).await {
                    Some(exchanged) => self.exchanged(&lease, exchanged).await,
                    None => CallbackOutcome::Failed(lease.grant),
                }
            }
            Claim::InProgress(grant) => CallbackOutcome::InProgress(grant),
            Claim::Approved(grant, terminal) => CallbackOutcome::Approved(grant, terminal),
            Claim::Replaced(grant) => CallbackOutcome::Replaced(grant),
            Claim::CodeSpent(grant, user_code) => {
                CallbackOutcome::ApproveAgain { grant, user_code, reason: Reason::CodeRefused }
            }
            Claim::Denied(grant) => CallbackOutcome::Denied(grant),
            Claim::Expired(grant) => CallbackOutcome::LinkExpired(Some(grant)),
            Claim::WrongBrowser(_) => self.abandoned(state, code, client).await,
            Claim::Altered(grant) => self.altered(grant, &state, &browser).await,
            Claim::Unknown => CallbackOutcome::LinkExpired(None),
        }
    }

    async fn claim(
        &self,
        state: &State,
        browser: &BrowserKey,
        code: &SecretString,
        client: Option<IpAddr>,
    ) -> Result<Claim, DatabaseError> {
        let (digest, holder) = (Digest::of_text(code), LeaseHolder::random());
        let deadline = Instant::now() + CLAIM_WAIT;
        loop {
            match self.fairly(client, self.store.claim(state, browser, &digest, &holder)).await? {
                Claim::InProgress(_) if Instant::now() + CLAIM_RETRY < deadline => sleep(CLAIM_RETRY).await,
                claim => return Ok(claim),
            }
        }
    }

    async fn exchanged(&self, lease: &Lease, exchanged: Exchanged) -> CallbackOutcome {
        let grant = lease.grant;
        match exchanged {
            Exchanged::Stored(Approval::Approved, woken, trial) => {
                let (terminal, trial) = tokio::join!(self.terminal(grant, woken), timeout(TRIAL_WAIT, trial));
                match terminal {
                    Terminal::SignedIn | Terminal::Waiting if matches!(trial, Ok(Ok(true))) => {
                        CallbackOutcome::TokenRefused(grant)
                    }
                    Terminal::SignedIn | Terminal::Waiting | Terminal::Inactive => {
                        CallbackOutcome::Approved(grant, terminal)
                    }
                }
            }
            Exchanged::Stored(Approval::Denied, ..) => CallbackOutcome::Denied(grant),
            Exchanged::Stored(Approval::Superseded, ..) => CallbackOutcome::LinkExpired(Some(grant)),
            Exchanged::NotStored => CallbackOutcome::InProgress(grant),
            Exchanged::Failed(failure) if failure.spends_code() && lease.is_last_code => {
                CallbackOutcome::LinkExpired(Some(grant))
            }
            Exchanged::Failed(failure) if failure.spends_code() => {
                CallbackOutcome::ApproveAgain { grant, user_code: lease.user_code, reason: failure }
            }
            Exchanged::Failed(failure) => CallbackOutcome::TryAgain(grant, failure),
        }
    }

    /// What the terminal is doing, after a short wait for its delivery.
    async fn terminal(&self, grant: GrantId, woken: Option<WokenPolls>) -> Terminal {
        if let Some(mut woken) = woken
            && woken.delivered().await
        {
            return Terminal::SignedIn;
        }
        let mut found = Terminal::Waiting;
        for delay in DELIVERY_CHECKS {
            sleep(delay).await;
            match self.store.terminal(grant).await {
                Ok(Some(terminal)) => found = terminal,
                Ok(None) | Err(_) => break,
            }
            if found == Terminal::SignedIn {
                break;
            }
        }
        found
    }

    async fn abandoned(&self, state: State, code: SecretString, client: Option<IpAddr>) -> CallbackOutcome {
        let flow = self.clone();
        let abandoning = self.finish(async move { flow.abandon(state, code, client).await });
        match abandoning.await.unwrap_or(Err(DatabaseError::Unavailable)) {
            Ok(Abandonment::Ended(grant) | Abandonment::AlreadyOver(grant) | Abandonment::Repeated(grant)) => {
                CallbackOutcome::Abandoned(grant)
            }
            Ok(Abandonment::CodeOfRightBrowser(_)) => CallbackOutcome::WrongBrowser,
            Ok(Abandonment::Unknown) => CallbackOutcome::LinkExpired(None),
            Err(error) => error.into(),
        }
    }

    /// Ends a grant whose row can't be trusted: its token could be sealed to another terminal.
    async fn altered(&self, grant: GrantId, state: &State, browser: &BrowserKey) -> CallbackOutcome {
        self.metrics.count(GrantEvent::Altered);
        error!(
            grant = grant.reference(),
            "the grant's row was changed after its opening, or was opened with another client secret: its code is not exchanged"
        );
        // If this fails, the grant expires: a later callback finds its row altered too.
        if let Ok(Denial::Applied(grant)) = self.store.deny_at_postiz(state, browser).await {
            drop(self.decided(grant, Decision::Denied, Origin::AlteredRow));
        }
        CallbackOutcome::LinkExpired(Some(grant))
    }

    async fn denied(&self, state: &State, browser: &BrowserKey, client: Option<IpAddr>) -> CallbackOutcome {
        match self.fairly(client, self.store.deny_at_postiz(state, browser)).await {
            Ok(Denial::Applied(grant)) => {
                drop(self.decided(grant, Decision::Denied, Origin::Postiz));
                CallbackOutcome::Denied(grant)
            }
            Ok(Denial::Denied(grant)) => CallbackOutcome::Denied(grant),
            Ok(Denial::Approved(grant)) => CallbackOutcome::Approved(grant, Terminal::Waiting),
            Ok(Denial::Expired(grant)) => CallbackOutcome::LinkExpired(Some(grant)),
            Ok(Denial::WrongBrowser(_)) => CallbackOutcome::WrongBrowser,
            Ok(Denial::Unknown) => CallbackOutcome::LinkExpired(None),
            Err(error) => error.into(),
        }
    }
}
