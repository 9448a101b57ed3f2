//! The address of a server, to which paths are appended.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::Url;

use super::network::is_private_name;

/// An `http` or `https` URL without credentials, query or fragment. Its path is kept, a slash at its end is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// The URL of `path` (`/device/verify`) below this one. Unlike [`Url::join`], keeps the base's own path.
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{}", self.0.path().trim_end_matches('/'), path.trim_start_matches('/')));
        url
    }

    /// The whole URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Empty, or `/like/this`.
    pub fn base_path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// Scheme, host and port, as a browser writes them in `Origin` (RFC 6454).
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub fn is_loopback(&self) -> bool {
        self.audience() == Audience::Machine
    }

    pub fn audience(&self) -> Audience {
        let host = self.0.host_str().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.');
        let is_local_name = host == "localhost" || host.ends_with(".localhost");
        if is_local_name || host.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback()) {
            Audience::Machine
        } else if is_private_name(host) {
            Audience::Network
        } else {
            Audience::Everyone
        }
    }
}

/// From where an address can be reached, as far as its host tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The same machine.
    Machine,
    /// A private network: a private address, or a name that no public DNS has.
    Network,
    Everyone,
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let mut url = url.ok_or("is not a URL that begins with https:// or http://")?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err("holds a user name, a password, a query (?) or a fragment (#)".to_owned());
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> BaseUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_trailing_slash_is_removed_and_paths_are_appended_to_the_base() {
        for (text, shown, origin, verify) in [
            ("https://example.com/", "https://example.com", "https://example.com", "https://example.com/device/verify"),
            (
                "HTTPS://Example.com:443/auth//",
                "https://example.com/auth",
                "https://example.com",
                "https://example.com/auth/device/verify",
            ),
            ("http://[::1]:3111", "http://[::1]:3111", "http://[::1]:3111", "http://[::1]:3111/device/verify"),
        ] {
            let base = base(text);
            assert_eq!(
                (&*base.to_string(), &*base.origin(), base.join("/device/verify").as_str()),
                (shown, origin, verify)
            );
        }
    }

    #[test]
    fn its_host_tells_who_can_reach_an_address() {
        for (hosts, audience) in [
            ("localhost localhost:4007 a.localhost. 127.8.0.1 [::1]:3111", Audience::Machine),
            ("postiz:5000 10.0.0.1 100.100.1.2 [fd00::1] a.internal a.flycast nas.lan", Audience::Network),
            ("example.com localhost.example.com 203.0.113.1 [2001:db8::1] internal.example.com", Audience::Everyone),
        ] {
            for host in hosts.split(' ') {
                let url = base(&format!("http://{host}/api"));
                assert_eq!((url.audience(), url.is_loopback()), (audience, audience == Audience::Machine), "{host}");
            }
        }
    }

    #[test]
    fn other_text_is_refused_with_the_reason() {
        for text in ["example.com", "localhost:3111", "ftp://example.com", "https://", "https://example.com:http"] {
            assert!(text.parse::<BaseUrl>().unwrap_err().contains("begins with"), "{text}");
        }
        for text in ["https://me:secret@example.com", "https://example.com/?a=b", "https://example.com/#a"] {
            assert!(text.parse::<BaseUrl>().unwrap_err().contains("password"), "{text}");
        }
    }
}
