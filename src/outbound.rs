//! The HTTP client for what is asked outside: Postiz, and this server's own public address.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use rustls::ClientConfig;
use rustls::crypto::ring;

use crate::tls_roots::public_roots;

/// From the first byte sent to the last byte read.
const ANSWER: Duration = Duration::from_secs(8);
const CONNECT: Duration = Duration::from_secs(3);
/// Node closes idle connections after 5 s; a POST must not meet a closed one.
const IDLE: Duration = Duration::from_secs(4);
const IDLE_CONNECTIONS: usize = 4;

/// The client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// TLS is not available.
    #[error("TLS can't be set up")]
    Tls(#[from] rustls::Error),
    /// The HTTP client refused its settings.
    #[error("the HTTP client can't be set up")]
    Http(#[from] reqwest::Error),
}

/// Makes the client; cheap to clone from then on.
pub fn client() -> Result<reqwest::Client, SetupError> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls()?)
        .user_agent(concat!("postiz-auth-server/", env!("CARGO_PKG_VERSION")))
        // Following one would hand the secret to whoever it points to.
        .redirect(Policy::none())
        .timeout(ANSWER)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .build()?;
    Ok(client)
}

/// A client for a thread that may wait, with nothing of its own to keep secret.
#[cfg(feature = "otlp")]
pub(crate) fn blocking_client() -> Result<reqwest::blocking::Client, SetupError> {
    Ok(reqwest::blocking::Client::builder().tls_backend_preconfigured(tls()?).timeout(ANSWER).build()?)
}

fn tls() -> Result<ClientConfig, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(public_roots())
        .with_no_client_auth())
}

/// Why there was no answer: the causes in one line, without the URL and what its query may hold.
pub fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// An answer's body; what is longer than any answer that is asked for counts as a broken connection.
pub async fn body(mut answer: reqwest::Response) -> Result<Vec<u8>, String> {
    const LARGEST: usize = 64 * 1024;
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(cause)? {
        if body.len() + part.len() > LARGEST {
            return Err("the answer is too long".to_owned());
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}
