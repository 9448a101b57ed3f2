//! The exchange of an authorization code for a token (RFC 6749 §4.1.3), and the first request with that token.
//!
//! If Postiz was reached and did not answer, the person tries or approves again. Without a subscription, Postiz grants tokens
//! and then refuses each request: the trial of a new token finds that out.

use std::time::Duration;

use oauth2::basic::BasicErrorResponseType;
use oauth2::{AuthorizationCode, PkceCodeVerifier, RequestTokenError};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::grant::{Credentials, PostizClientId};
use crate::outbound::ask;
use crate::postiz::failure::{Failure, Reason};
use crate::postiz::{GRANTED, Postiz};
use crate::secret::Secret;

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
                let reason = reason(refusal.error(), registered.is_some());
                let mut sent = vec![code, verifier.as_str()];
                sent.extend(self.app.as_ref().map(|(_, secret)| secret.secret().as_str()));
                Err(Failure::refused(reason, &refusal, &sent))
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

fn reason(error: &BasicErrorResponseType, is_registered: bool) -> Reason {
    match error {
        BasicErrorResponseType::InvalidGrant => Reason::CodeRefused,
        // A client that Postiz has forgotten takes its codes along.
        BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient if is_registered => {
            Reason::ClientForgotten
        }
        BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => Reason::ClientRefused,
        _ => Reason::Failed,
    }
}
