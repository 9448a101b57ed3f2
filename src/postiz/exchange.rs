//! The exchange of an authorization code for a token (RFC 6749 §4.1.3).
//!
//! Postiz spends a code even if its answer is lost, and of two concurrent exchanges both can seem to succeed. So a request
//! is retried here only if it certainly did not reach Postiz. After any other failure, the person tries or approves again.

use std::time::Duration;

use oauth2::basic::BasicErrorResponseType;
use oauth2::{AuthorizationCode, PkceCodeVerifier, RequestTokenError};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{Instrument as _, trace_span};

use crate::grant::{BrowserKey, Credentials, PostizClientId, State};
use crate::postiz::failure::{ExchangeError, GRANTED, Reason};
use crate::postiz::transport::TransportError;
use crate::postiz::{Postiz, PostizClient};

/// All attempts together. The person sees a page soon after.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Before the retry of an attempt that did not reach Postiz.
const RETRY_DELAY: Duration = Duration::from_millis(500);

impl Postiz {
    /// Exchanges a code that this browser brought back, under the grant's own client or the app; takes at most 10 s.
    pub async fn exchange(
        &self,
        client: Option<&PostizClientId>,
        code: &SecretString,
        browser: &BrowserKey,
        state: &State,
    ) -> Result<Credentials, ExchangeError> {
        let begun = Instant::now();
        let span = trace_span!("exchange", otel.kind = "client");
        let answer = self.try_exchange(client, code.expose_secret(), browser, state).instrument(span).await;
        let outcome = answer.as_ref().map_or_else(|failure| failure.reason.into(), |_| GRANTED);
        self.exchanges.ended(outcome, begun.elapsed());
        answer
    }

    /// Uses up a code that somebody else may know, and drops its token. Postiz checks no verifier for apps that were created
    /// by hand. For others the code is worthless without its browser, and this exchange is refused.
    pub async fn spend(&self, code: &SecretString, state: &State) -> Result<(), ExchangeError> {
        self.try_exchange(None, code.expose_secret(), &BrowserKey::random(), state).await.map(drop)
    }

    /// Without metrics.
    pub(super) async fn try_exchange(
        &self,
        registered: Option<&PostizClientId>,
        code: &str,
        browser: &BrowserKey,
        state: &State,
    ) -> Result<Credentials, ExchangeError> {
        // The app was taken out of the configuration while this grant was at Postiz.
        let client = self.client(registered).ok_or(ExchangeError { reason: Reason::CodeRefused, spent: true })?;
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let attempt = timeout_at(deadline, self.exchange_once(&client, code, browser, state)).await;
            match attempt.unwrap_or(Err(ExchangeError { reason: Reason::Slow, spent: false })) {
                Err(ExchangeError { reason: Reason::Unreachable, .. }) if Instant::now() + RETRY_DELAY < deadline => {
                    sleep(RETRY_DELAY).await;
                }
                // A client that Postiz has forgotten takes its codes along.
                Err(ExchangeError { reason: Reason::ClientRefused, .. }) if registered.is_some() => {
                    return Err(ExchangeError { reason: Reason::ClientForgotten, spent: true });
                }
                outcome => return outcome,
            }
        }
    }

    async fn exchange_once(
        &self,
        client: &PostizClient,
        code: &str,
        browser: &BrowserKey,
        state: &State,
    ) -> Result<Credentials, ExchangeError> {
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(browser.code_verifier(state).to_base64url()))
            .request_async(&self.transport)
            .await;
        match answer {
            Ok(token) => token.into_credentials().ok_or(UNREADABLE),
            Err(RequestTokenError::Request(error)) => Err(error.into()),
            Err(RequestTokenError::ServerResponse(error)) => Err(match error.error() {
                BasicErrorResponseType::InvalidGrant => ExchangeError { reason: Reason::CodeRefused, spent: true },
                BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
                    ExchangeError { reason: Reason::ClientRefused, spent: false }
                }
                _ => ExchangeError { reason: Reason::Failed, spent: false },
            }),
            // Only a success is parsed, and its body may hold the token: it is not looked at again.
            Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => Err(UNREADABLE),
        }
    }
}

/// After a 2xx the code is used up, even if the body is unreadable.
const UNREADABLE: ExchangeError = ExchangeError { reason: Reason::Unreadable, spent: true };

impl From<TransportError> for ExchangeError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::NotSent => Self { reason: Reason::Unreachable, spent: false },
            TransportError::Timeout => Self { reason: Reason::Slow, spent: false },
            TransportError::Incomplete(status) if status.is_success() => UNREADABLE,
            TransportError::Broken | TransportError::Incomplete(_) | TransportError::Status(_) => {
                Self { reason: Reason::Failed, spent: false }
            }
        }
    }
}
