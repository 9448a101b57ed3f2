//! One request with a new token: without a subscription, Postiz grants tokens and then refuses each request.

use std::time::Duration;

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

use crate::postiz::Postiz;

const TIMEOUT: Duration = Duration::from_secs(3);

impl Postiz {
    /// Whether Postiz refuses the token. False if it does not answer within 3 s.
    pub async fn refuses(&self, token: &SecretString) -> bool {
        // Postiz takes the bare token; it refuses `Bearer`.
        let Ok(mut header) = HeaderValue::from_str(token.expose_secret()) else { return false };
        header.set_sensitive(true);
        let request = self.transport.0.get(self.trial_url.clone()).header(AUTHORIZATION, header).timeout(TIMEOUT);
        request.send().await.is_ok_and(|answer| answer.status() == StatusCode::UNAUTHORIZED)
    }
}
