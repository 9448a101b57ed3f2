//! The exchange of an authorization code for a token (RFC 6749 §4.1.3), and the first request with that token.
//!
//! Postiz spends a code even if its answer is lost, and of two concurrent exchanges both can seem to succeed. So a request
//! is retried here only if it certainly did not reach Postiz. After any other failure, the person tries or approves again.
//! Without a subscription, Postiz grants tokens and then refuses each request: the trial of a new token finds that out.

use std::time::Duration;

use oauth2::basic::{BasicErrorResponse, BasicErrorResponseType};
use oauth2::{AuthorizationCode, PkceCodeVerifier, RequestTokenError};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, warn};

use crate::grant::{Credentials, PostizClientId};
use crate::outbound::{NoAnswer, ask};
use crate::postiz::failure::{Failure, Reason};
use crate::postiz::{GRANTED, Postiz, PostizClient};
use crate::secret::Secret;

/// All attempts together. The person sees a page soon after.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Before the retry of an attempt that did not reach Postiz.
const RETRY_DELAY: Duration = Duration::from_millis(500);
const TRIAL_TIMEOUT: Duration = Duration::from_secs(5);

impl Postiz {
    /// Exchanges a code under the grant's own client or the app; takes at most 10 s.
    pub async fn exchange(
        &self,
        client: Option<&PostizClientId>,
        code: &SecretString,
        verifier: &Secret,
    ) -> Result<Credentials, Reason> {
        let begun = Instant::now();
        let answer = self.try_exchange(client, code.expose_secret(), verifier).await;
        let outcome = answer.as_ref().map_or_else(|failure| failure.reason.into(), |_| GRANTED);
        self.exchanges.ended(outcome, begun.elapsed());
        answer.map_err(|failure| {
            warn!(error = failure.cause, "no token from Postiz");
            failure.reason
        })
    }

    /// Without metrics.
    pub(super) async fn try_exchange(
        &self,
        registered: Option<&PostizClientId>,
        code: &str,
        verifier: &Secret,
    ) -> Result<Credentials, Failure> {
        // The app was taken out of the configuration while this grant was at Postiz.
        let client = self.client(registered).ok_or_else(|| Failure::plain(Reason::CodeRefused))?;
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let attempt = timeout_at(deadline, self.exchange_once(&client, code, verifier)).await;
            match attempt.unwrap_or_else(|_| Err(NoAnswer::Slow.into())) {
                Err(failure) if failure.reason == Reason::Unreachable && Instant::now() + RETRY_DELAY < deadline => {
                    sleep(RETRY_DELAY).await;
                }
                // A client that Postiz has forgotten takes its codes along.
                Err(failure) if failure.reason == Reason::ClientRefused && registered.is_some() => {
                    return Err(Failure { reason: Reason::ClientForgotten, ..failure });
                }
                outcome => return outcome,
            }
        }
    }

    pub(super) async fn exchange_once(
        &self,
        client: &PostizClient,
        code: &str,
        verifier: &Secret,
    ) -> Result<Credentials, Failure> {
        let verifier = verifier.to_base64url();
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.clone()))
            .request_async(&self.transport)
            .await;
        match answer {
            // After a 2xx the code is used up, even if the body is unreadable.
            Ok(token) => token.into_credentials().ok_or_else(|| Failure::plain(Reason::Unreadable)),
            Err(RequestTokenError::Request(no_answer)) => Err(no_answer.into()),
            Err(RequestTokenError::ServerResponse(refusal)) => {
                let client_secret = self.app.as_ref().map(|app| app.client_secret.expose_secret());
                Err(refused(&refusal, &[Some(code), Some(&verifier), client_secret]))
            }
            // Only a success is parsed, and its body may hold the token: it is not looked at again.
            Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => Err(Failure::plain(Reason::Unreadable)),
        }
    }

    /// Whether Postiz refuses the token. False if it does not answer within 5 s.
    pub async fn refuses(&self, token: &SecretString) -> bool {
        // Postiz takes the bare token; it refuses `Bearer`.
        let Ok(mut header) = HeaderValue::from_str(token.expose_secret()) else { return false };
        header.set_sensitive(true);
        let request = self.transport.0.get(self.api_url.join("/public/v1/is-connected"));
        match ask(request.header(AUTHORIZATION, header).timeout(TRIAL_TIMEOUT)).await {
            Ok(answer) => answer.status == StatusCode::UNAUTHORIZED,
            Err(no_answer) => {
                debug!(%no_answer, "the trial of the token got no answer");
                false
            }
        }
    }
}

/// Leaves a description out that repeats what was sent.
fn refused(refusal: &BasicErrorResponse, sent: &[Option<&str>]) -> Failure {
    let reason = match refusal.error() {
        BasicErrorResponseType::InvalidGrant => Reason::CodeRefused,
        BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => Reason::ClientRefused,
        _ => Reason::Failed,
    };
    let description = refusal.error_description().map(String::as_str);
    let description = description.filter(|text| !sent.iter().flatten().any(|secret| text.contains(secret)));
    Failure::refused(reason, refusal.error().as_ref(), description)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_quoted_unless_it_repeats_what_was_sent() {
        let refusal = |description: &str| {
            let refusal =
                BasicErrorResponse::new(BasicErrorResponseType::InvalidGrant, Some(description.to_owned()), None);
            let failure = refused(&refusal, &[Some("the-code"), None]);
            assert_eq!(failure.reason, Reason::CodeRefused);
            failure.cause
        };
        assert_eq!(refusal("redirect_uri\ndiffers"), "Postiz says invalid_grant (redirect_uridiffers)");
        assert_eq!(refusal("no code the-code"), "Postiz says invalid_grant");
    }
}
