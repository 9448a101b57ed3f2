//! One request with a new token: without a subscription, Postiz grants tokens and then refuses each request.

use std::time::Duration;

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use tracing::debug;

use crate::outbound;
use crate::postiz::Postiz;

const TIMEOUT: Duration = Duration::from_secs(5);

impl Postiz {
    /// Whether Postiz refuses the token. False if it does not answer within 5 s.
    pub async fn refuses(&self, token: &SecretString) -> bool {
        // Postiz takes the bare token; it refuses `Bearer`.
        let Ok(mut header) = HeaderValue::from_str(token.expose_secret()) else { return false };
        header.set_sensitive(true);
        let request = self
            .transport
            .0
            .get(self.api_url.join("/public/v1/is-connected"))
            .header(AUTHORIZATION, header)
            .timeout(TIMEOUT);
        match request.send().await {
            Ok(answer) => answer.status() == StatusCode::UNAUTHORIZED,
            Err(error) => {
                debug!(reason = outbound::cause(error), "the trial of the token got no answer");
                false
            }
        }
    }
}
