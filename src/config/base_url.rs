//! The address of a server, to which paths are appended, and who can reach an address, judged without resolving a name.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::Url;

/// Endings of names that lead to no public address: RFC 6761, 6762, 8375 and 9476, and those of Fly.io, Kubernetes
/// and home routers.
const PRIVATE_ENDINGS: [&str; 9] =
    ["localhost", "local", "home.arpa", "internal", "flycast", "flympg.net", "svc", "localdomain", "lan"];

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

/// Whether no public DNS server has this name. An address counts as [`is_private_address`] says.
pub(super) fn is_private_name(name: &str) -> bool {
    // An IPv6 address may have a zone: fe80::1%eth0.
    let (bare, _) = name.split_once('%').unwrap_or((name, ""));
    if let Ok(address) = bare.parse() {
        return is_private_address(address);
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    // A name without a dot is a container, a service or a neighbour.
    !name.contains(['.', ':']) || PRIVATE_ENDINGS.iter().any(|ending| name.ends_with(&format!(".{ending}")))
}

/// Whether no client on the internet can have this address.
pub fn is_private_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        // 100.64.0.0/10 is the inside of carriers, VPNs and some platforms.
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
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

    #[test]
    fn private_and_public_names_and_addresses_are_distinguished() {
        let private = "localhost LOCALHOST. db db.localhost postgres.railway.internal auth-db.flycast pg.data.svc \
                       nas.lan 127.8.0.1 10.1.2.3 172.31.0.1 192.168.0.9 100.100.1.2 169.254.1.1 ::1 \
                       fdaa:0:1::3 fe80::1%eth0 ::ffff:10.0.0.1";
        for name in private.split(' ') {
            assert!(is_private_name(name), "{name}");
        }
        let public = "db.example.com db.notlocal localhost.example.com internal.example.com 0.0.0.0 8.8.8.8 172.32.0.1 \
                      100.128.0.1 2001:db8::1 ::ffff:8.8.8.8 fe80:x";
        for name in public.split(' ') {
            assert!(!is_private_name(name), "{name}");
        }
    }
}
