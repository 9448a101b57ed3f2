//! The HTTP client for Postiz and for this server's own public address.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use rustls::ClientConfig;
use rustls::crypto::ring;

use crate::error_chain::error_chain;
use crate::tls_roots::public_roots;

/// From the first byte sent to the last byte read.
const TIMEOUT: Duration = Duration::from_secs(8);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Node closes idle connections after 5 s, and a POST must not meet a closed one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
const MAX_IDLE: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("TLS can't be set up")]
    Tls(#[from] rustls::Error),
    #[error("the HTTP client can't be set up")]
    Http(#[from] reqwest::Error),
}

/// Cheap to clone.
pub fn client() -> Result<reqwest::Client, SetupError> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls()?)
        .user_agent(concat!("postiz-auth-server/", env!("CARGO_PKG_VERSION")))
        // Following one would send the secret to its target.
        .redirect(Policy::none())
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE)
        .build()?;
    Ok(client)
}

#[cfg(feature = "otlp")]
pub(crate) fn blocking_client() -> Result<reqwest::blocking::Client, SetupError> {
    Ok(reqwest::blocking::Client::builder().tls_backend_preconfigured(tls()?).timeout(TIMEOUT).build()?)
}

fn tls() -> Result<ClientConfig, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(public_roots())
        .with_no_client_auth())
}

/// Why there was no answer, in one line and without the URL: its query may hold a secret.
pub fn cause(error: reqwest::Error) -> String {
    error_chain(&error.without_url())
}

/// The answer's body was not read whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the answer is longer than 64 KiB")]
    TooLong,
    #[error(transparent)]
    Broken(#[from] reqwest::Error),
}

pub async fn body(mut answer: reqwest::Response) -> Result<Vec<u8>, BodyError> {
    const LARGEST: usize = 64 * 1024;
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + part.len() > LARGEST {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}
