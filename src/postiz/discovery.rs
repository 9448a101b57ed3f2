//! Finds out where people approve at Postiz, and whether it registers clients: at the start, and again from time to time,
//! because Postiz may be upgraded meanwhile. Its OAuth metadata (RFC 8414) says both.
//!
//! The URLs in it may have another origin than the API: a replica often reaches Postiz by an internal name. Postiz is trusted with
//! more than them, because every token comes from it. Only a step down from https is refused. Postiz joins these URLs from its
//! own settings, and a setting that ends with a slash makes `https://host//oauth/..`, which its page can't take: doubled slashes
//! become one.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::sleep;
use tracing::{error, info, warn};
use url::Url;

use crate::outbound::{NoAnswer, ask};
use crate::postiz::Postiz;

/// Newer versions of Postiz have the first path, v2.21.5 to v2.22.1 the second one.
const PATHS: [&str; 2] =
    ["/.well-known/oauth-authorization-server/mcp-oauth", "/.well-known/oauth-authorization-server"];
/// Before the first answer. The delay doubles up to [`MAX_RETRY_DELAY`].
const RETRY_DELAY: Duration = Duration::from_millis(500);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(10);
/// Until the metadata is read again.
const REFRESH: Duration = Duration::from_mins(10);
/// The same if it could not be read, or could not be used.
const REFRESH_AFTER_FAILURE: Duration = Duration::from_mins(1);
/// A client id that Postiz never gives.
const NO_CLIENT: &str = "none";
/// Of the consent page, below the front end.
const AUTHORIZE: &str = "/oauth/authorize";

/// Where people approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    pub(super) authorization: Url,
    /// The same in Postiz's metadata, which the configuration may contradict.
    published: Option<Url>,
}

/// Why the endpoints are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    #[error("it {0}")]
    NoAnswer(#[from] NoAnswer),
    /// Postiz does not offer what the configuration needs: the operator has to act.
    #[error("{0}")]
    Unusable(String),
}

#[derive(Debug, Deserialize)]
struct Metadata {
    authorization_endpoint: String,
    registration_endpoint: Option<String>,
}

impl Postiz {
    /// Reads the metadata now and from time to time. Returns only if the configuration needs none.
    pub async fn keep_discovered(&self) {
        if self.configured().is_some() {
            return;
        }
        let (mut delay, mut is_failing) = (RETRY_DELAY, false);
        loop {
            let pause = match self.discover().await {
                Ok(endpoints) => {
                    is_failing = false;
                    self.found(endpoints);
                    REFRESH
                }
                // Endpoints that worked are kept: Postiz may be on its way back to another version.
                Err(error) if self.endpoints().is_some() => {
                    if !is_failing {
                        warn!(%error, "Postiz's OAuth metadata can't be read again: what is known of it is kept");
                    }
                    is_failing = true;
                    REFRESH_AFTER_FAILURE
                }
                Err(DiscoveryError::Unusable(reason)) => {
                    error!(reason, fix = self.fix(), "Postiz can't be used");
                    self.unusable.notify_one();
                    REFRESH_AFTER_FAILURE
                }
                Err(DiscoveryError::NoAnswer(no_answer)) => {
                    if delay == RETRY_DELAY {
                        warn!(%no_answer, "Postiz unavailable, retrying");
                    }
                    delay = (delay * 2).min(MAX_RETRY_DELAY);
                    delay / 2
                }
            };
            sleep(pause).await;
        }
    }

    /// Reads the metadata.
    pub async fn discover(&self) -> Result<Endpoints, DiscoveryError> {
        let unusable = |why: &str| DiscoveryError::Unusable(why.to_owned());
        let Some(metadata) = self.metadata().await? else {
            return self.configured().ok_or_else(|| unusable("it has no OAuth metadata"));
        };
        if self.registers() && metadata.registration_endpoint.is_none() {
            return Err(unusable("its OAuth metadata names no registration_endpoint, so it registers no clients"));
        }
        let published = metadata.authorization(self.api_url.is_https());
        Ok(match &self.front_end {
            Some(front_end) => Endpoints { authorization: front_end.join(AUTHORIZE), published: published.ok() },
            None => published.map(|url| Endpoints { authorization: url.clone(), published: Some(url) })?,
        })
    }

    /// What is known without the metadata.
    pub(super) fn configured(&self) -> Option<Endpoints> {
        let front_end = self.front_end.as_ref().filter(|_| !self.registers())?;
        Some(Endpoints { authorization: front_end.join(AUTHORIZE), published: None })
    }

    /// `None` if Postiz itself says that it has no such document.
    async fn metadata(&self) -> Result<Option<Metadata>, NoAnswer> {
        for path in PATHS {
            let answer = ask(self.http.get(self.api_url.join(path))).await?;
            match (answer.status, serde_json::from_slice(&answer.body)) {
                (StatusCode::OK, Ok(metadata)) => return Ok(Some(metadata)),
                (StatusCode::NOT_FOUND, _) if is_from_postiz(&answer.body) => {}
                _ => return Err(answer.odd()),
            }
        }
        // An old Postiz has no such document, and neither has a wrong path, such as /api/v1: that one has no OAuth at all.
        self.registered(NO_CLIENT).await.map(|_| None)
    }

    fn found(&self, endpoints: Endpoints) {
        if self.endpoints().as_ref() != Some(&endpoints) {
            info!(authorization_endpoint = %endpoints.authorization, "Postiz's OAuth metadata is read");
            self.endpoints.send_replace(Some(endpoints));
        }
    }

    /// Returns if Postiz turns out not to offer what this configuration needs, before it was ever usable.
    pub async fn unusable(&self) {
        self.unusable.notified().await;
    }

    /// `None` until Postiz has answered.
    pub fn endpoints(&self) -> Option<Endpoints> {
        self.endpoints.borrow().clone()
    }

    /// The origin at which people approve, for `form-action`; `None` until Postiz has answered.
    pub fn front_end(&self) -> Option<String> {
        Some(self.endpoints()?.authorization.origin().ascii_serialization())
    }

    /// What the operator has to do if Postiz does not offer what this configuration needs.
    pub fn fix(&self) -> String {
        if self.registers() {
            format!(
                "Postiz registers clients only for https:// or http://localhost in SERVER_URL, and if it sets \
                 DCR_VERIFIED_DOMAINS, for those hosts. Otherwise: in Postiz, under Developers → Apps, make an OAuth app with the redirect URL {}. Set \
                 POSTIZ_OAUTH_CLIENT_ID and POSTIZ_OAUTH_CLIENT_SECRET to its client ID and client secret, and \
                 POSTIZ_FRONTEND_URL to the address of Postiz in a browser.",
                self.callback_url
            )
        } else {
            "Set POSTIZ_FRONTEND_URL to the address of Postiz in a browser.".to_owned()
        }
    }
}

impl Endpoints {
    /// Postiz in a browser.
    pub fn front_end(&self) -> &str {
        front_end(&self.authorization)
    }

    /// What Postiz itself says of it.
    pub fn published_front_end(&self) -> Option<&str> {
        self.published.as_ref().map(front_end)
    }
}

fn front_end(authorization: &Url) -> &str {
    authorization.as_str().strip_suffix(AUTHORIZE).unwrap_or(authorization.as_str())
}

impl Metadata {
    /// `is_https` says whether the API is.
    fn authorization(&self, is_https: bool) -> Result<Url, DiscoveryError> {
        /// Enough of a bad value to recognise it.
        const SHOWN_CHARS: usize = 80;
        let text = &self.authorization_endpoint;
        let allowed = |url: &Url| {
            (url.scheme() == "https" || url.scheme() == "http" && !is_https)
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
        };
        Url::parse(text).ok().filter(allowed).map(with_single_slashes).ok_or_else(|| {
            let shown: String = text.chars().take(SHOWN_CHARS).collect();
            let why = format!("its OAuth metadata has the authorization_endpoint {shown:?}, which can't be used");
            DiscoveryError::Unusable(why)
        })
    }
}

fn with_single_slashes(mut url: Url) -> Url {
    let path = url.path().split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    url.set_path(&path);
    url
}

/// Whether a 404 is Postiz's own, and not that of a proxy before a Postiz that is just starting.
fn is_from_postiz(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|refusal| refusal["statusCode"] == 404)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_postizs_own_404_says_that_a_path_is_missing() {
        assert!(is_from_postiz(br#"{"message":"Cannot GET /x","error":"Not Found","statusCode":404}"#));
        for body in ["", "<html>404</html>", r#"{"error":"not found"}"#, r#"{"statusCode":502}"#, "[404]"] {
            assert!(!is_from_postiz(body.as_bytes()), "{body}");
        }
    }

    fn authorization(text: &str, is_https: bool) -> Option<String> {
        let metadata = Metadata { authorization_endpoint: text.to_owned(), registration_endpoint: None };
        metadata.authorization(is_https).ok().map(String::from)
    }

    #[test]
    fn an_endpoint_has_no_weaker_scheme_than_the_api() {
        let good = "https://p.example/oauth/authorize";
        assert_eq!(authorization(good, true).as_deref(), Some(good));
        assert!(authorization("http://localhost/oauth/authorize", false).is_some());
        for bad in ["http://p.example/x", "ftp://p.example", "/x", "https://u:p@p.example/x", "https://p.example/#a"] {
            assert_eq!(authorization(bad, true), None, "{bad}");
        }
    }

    #[test]
    fn doubled_slashes_become_one() {
        for (named, used) in [
            ("https://p.example//oauth/authorize", "https://p.example/oauth/authorize"),
            ("https://p.example/sub///oauth//authorize", "https://p.example/sub/oauth/authorize"),
        ] {
            assert_eq!(authorization(named, true).as_deref(), Some(used));
        }
    }
}
