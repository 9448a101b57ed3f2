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

    /// `localhost`, `*.localhost`, `127.0.0.0/8` or `::1`.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        let is_local_name = || format!(".{}", host.trim_end_matches('.')).ends_with(".localhost");
        host.parse().map_or_else(|_| is_local_name(), |address: IpAddr| address.to_canonical().is_loopback())
    }

    pub fn audience(&self) -> Audience {
        if self.is_loopback() {
            Audience::Machine
        } else if is_private_name(self.host()) || matches!(self.host(), "0.0.0.0" | "::") {
            Audience::Network
        } else {
            Audience::Everyone
        }
    }

    /// A name, or an address without brackets.
    fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_matches(['[', ']'])
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
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !matches!(scheme.as_deref(), Some("http" | "https")) {
            return Err("does not begin with https:// or http://".to_owned());
        }
        let mut url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds a user name or a password".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("holds a query (?) or a fragment (#)".to_owned());
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
    fn a_trailing_slash_is_removed_and_the_path_is_kept() {
        assert_eq!(base("https://example.com/").to_string(), "https://example.com");
        assert_eq!(base("HTTPS://Example.com/api//").to_string(), "https://example.com/api");
        assert_eq!(base("http://[::1]:3111").to_string(), "http://[::1]:3111");
    }

    #[test]
    fn paths_are_appended_to_the_base() {
        let verify = |text| base(text).join("/device/verify").to_string();
        assert_eq!(verify("https://example.com"), "https://example.com/device/verify");
        assert_eq!(verify("https://example.com/auth/"), "https://example.com/auth/device/verify");
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        assert_eq!(base("https://example.com:443/auth").origin(), "https://example.com");
        assert_eq!(base("http://localhost:3111").origin(), "http://localhost:3111");
    }

    #[test]
    fn loopback_names_and_addresses_are_recognised() {
        for text in ["http://localhost", "http://a.localhost:1", "http://127.8.0.1", "http://[::1]:3111"] {
            assert!(base(text).is_loopback(), "{text}");
        }
        for text in ["http://localhost.example.com", "http://10.0.0.1", "http://[2001:db8::1]", "http://notlocalhost"] {
            assert!(!base(text).is_loopback(), "{text}");
        }
    }

    #[test]
    fn an_address_that_only_a_network_or_a_machine_knows_is_recognised() {
        for text in [
            "http://postiz:5000/api",
            "http://10.0.0.1",
            "http://100.100.1.2",
            "http://[fd00::1]",
            "http://a.internal",
            "http://a.flycast",
            "http://nas.lan",
        ] {
            assert_eq!(base(text).audience(), Audience::Network, "{text}");
        }
        for text in ["http://localhost:4007", "http://127.0.0.1", "http://[::1]"] {
            assert_eq!(base(text).audience(), Audience::Machine, "{text}");
        }
        for text in [
            "https://example.com",
            "https://203.0.113.1",
            "https://100.128.0.1",
            "https://[2001:db8::1]",
            "https://internal.example.com",
        ] {
            assert_eq!(base(text).audience(), Audience::Everyone, "{text}");
        }
    }

    #[test]
    fn other_text_is_refused_with_the_reason() {
        for (text, reason) in [
            ("example.com", "begin with"),
            ("localhost:3111", "begin with"),
            ("ftp://example.com", "begin with"),
            ("https://", "is not a URL"),
            ("https://example.com:http", "is not a URL"),
            ("https://me:secret@example.com", "password"),
            ("https://example.com/?a=b", "query"),
            ("https://example.com/#a", "fragment"),
        ] {
            let error = text.parse::<BaseUrl>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
