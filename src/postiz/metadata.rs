//! Postiz's OAuth metadata (RFC 8414), and what this server takes from it.
//!
//! Its URLs may have another origin than the API: a replica often reaches Postiz by an internal name. Postiz is trusted with
//! more than them, because every token comes from it. Only a step down from https is refused. Postiz joins these URLs from its
//! own settings, and a setting that ends with a slash makes `https://host//oauth/..`, which its page can't take: doubled slashes
//! become one.

use serde::Deserialize;
use url::Url;

use crate::outbound::NoAnswer;

/// Of the consent page, below the front end.
pub(super) const AUTHORIZE: &str = "/oauth/authorize";

/// Where people approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    pub(super) authorization: Url,
    /// The same in Postiz's metadata, which the configuration may contradict.
    pub(super) published: Option<Url>,
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
pub(super) struct Metadata {
    authorization_endpoint: String,
    pub(super) registration_endpoint: Option<String>,
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
    pub(super) fn authorization(&self, is_https: bool) -> Result<Url, DiscoveryError> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
