//! The exchange of an authorization code for a token (RFC 6749 §4.1.3), and the first request with that token.
//!
//! If Postiz was reached and did not answer, the person tries or approves again. Without a subscription, Postiz grants tokens
//! and then refuses each request: the trial of a new token finds that out.

use std::time::Duration;

use oauth2::basic::{BasicErrorResponseType, BasicTokenType};
use oauth2::{AccessToken, AuthorizationCode, PkceCodeVerifier, RefreshToken, RequestTokenError, Scope, TokenResponse};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::grant::{Credentials, PostizClientId};
use crate::outbound::ask;
use crate::postiz::{Failure, GRANTED, Postiz, Reason, send};
use crate::secret::Secret;

/// Of an exchange with all its attempts. The person sees a page soon after.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
const TRIAL_TIMEOUT: Duration = Duration::from_secs(5);

impl Postiz {
    /// Exchanges a code under the grant's own client or the app; takes at most 10 s.
    pub async fn exchange(
        &self,
        client: Option<&PostizClientId>,
        code: &SecretString,
        verifier: &Secret,
    ) -> Result<Credentials, Reason> {
        let start = Instant::now();
        let answer = self.try_exchange(client, code.expose_secret(), verifier).await;
        let outcome = answer.as_ref().map_or_else(|failure| failure.reason.into(), |_| GRANTED);
        self.exchanges.ended(outcome, start.elapsed());
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
            .request_async(&|request| send(self.http.clone(), request, EXCHANGE_TIMEOUT))
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
        let request = self.http.get(self.api_url.join("/public/v1/is-connected"));
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

/// The answer to a successful exchange, read leniently: only the token itself has to be right.
/// `{"id": "<organization>", "access_token": "pos_...", "token_type": "bearer", ..}`.
///
/// Only what the terminal needs is read. In particular `cus`, a billing id, is left behind. Never written: `Serialize` is
/// demanded by [`TokenResponse`].
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct PostizToken {
    access_token: AccessToken,
    #[serde(default)]
    id: Value,
    #[serde(default)]
    scope: Value,
}

impl PostizToken {
    /// The credentials, or `None` if the token is empty.
    pub(super) fn into_credentials(self) -> Option<Credentials> {
        let text = |value: Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let token = self.access_token.into_secret();
        (!token.is_empty()).then(|| Credentials {
            access_token: token.into(),
            organization_id: text(self.id),
            scope: text(self.scope),
        })
    }
}

impl TokenResponse for PostizToken {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &BasicTokenType::Bearer
    }

    fn expires_in(&self) -> Option<Duration> {
        None
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        None
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(json: &str) -> Option<Credentials> {
        serde_json::from_str::<PostizToken>(json).ok().and_then(PostizToken::into_credentials)
    }

    #[test]
    fn the_token_responses_of_postiz_are_read() {
        let found =
            read(r#"{"id":"org","cus":"cus_1","access_token":"pos_x","token_type":"bearer","scope":"a"}"#).unwrap();
        assert_eq!(found.access_token.expose_secret(), "pos_x");
        assert_eq!((found.organization_id.as_deref(), found.scope.as_deref()), (Some("org"), Some("a")));
    }

    #[test]
    fn odd_types_beside_the_token_do_no_harm() {
        let found = read(r#"{"id":7,"access_token":"pos_x","token_type":null,"scope":null,"expires_in":"1"}"#).unwrap();
        assert_eq!((found.organization_id, found.scope), (None, None));
        assert!(read(r#"{"access_token":"pos_x"}"#).is_some());
    }

    #[test]
    fn no_token_is_no_success() {
        for json in ["{}", r#"{"access_token":""}"#, r#"{"access_token":null}"#, r#"{"access_token":7}"#, "[]"] {
            assert!(read(json).is_none(), "{json}");
        }
    }
}
