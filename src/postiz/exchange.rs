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
use crate::postiz::failure::{GRANTED, Reason};
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
    ) -> Result<Credentials, Reason> {
        let begun = Instant::now();
        let span = trace_span!("exchange", otel.kind = "client");
        let answer = self.try_exchange(client, code.expose_secret(), browser, state).instrument(span).await;
        let outcome = answer.as_ref().map_or_else(|failure| (*failure).into(), |_| GRANTED);
        self.exchanges.ended(outcome, begun.elapsed());
        answer
    }

    /// Uses up a code that somebody else may know, and drops its token. Postiz checks no verifier for apps that were created
    /// by hand. For others the code is worthless without its browser, and this exchange is refused.
    pub async fn spend(&self, code: &SecretString, state: &State) -> Result<(), Reason> {
        self.try_exchange(None, code.expose_secret(), &BrowserKey::random(), state).await.map(drop)
    }

    /// Without metrics.
    pub(super) async fn try_exchange(
        &self,
        registered: Option<&PostizClientId>,
        code: &str,
        browser: &BrowserKey,
        state: &State,
    ) -> Result<Credentials, Reason> {
        // The app was taken out of the configuration while this grant was at Postiz.
        let client = self.client(registered).ok_or(Reason::CodeRefused)?;
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let attempt = timeout_at(deadline, self.exchange_once(&client, code, browser, state)).await;
            match attempt.unwrap_or(Err(Reason::Slow)) {
                Err(Reason::Unreachable) if Instant::now() + RETRY_DELAY < deadline => {
                    sleep(RETRY_DELAY).await;
                }
                // A client that Postiz has forgotten takes its codes along.
                Err(Reason::ClientRefused) if registered.is_some() => {
                    return Err(Reason::ClientForgotten);
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
    ) -> Result<Credentials, Reason> {
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(browser.code_verifier(state).to_base64url()))
            .request_async(&self.transport)
            .await;
        match answer {
            // After a 2xx the code is used up, even if the body is unreadable.
            Ok(token) => token.into_credentials().ok_or(Reason::Unreadable),
            Err(RequestTokenError::Request(error)) => Err(error.into()),
            Err(RequestTokenError::ServerResponse(error)) => Err(match error.error() {
                BasicErrorResponseType::InvalidGrant => Reason::CodeRefused,
                BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
                    Reason::ClientRefused
                }
                _ => Reason::Failed,
            }),
            // Only a success is parsed, and its body may hold the token: it is not looked at again.
            Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => Err(Reason::Unreadable),
        }
    }
}
