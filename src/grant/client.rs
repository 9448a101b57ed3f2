//! Clients: what a terminal calls itself, what Postiz calls it, and which network it is on.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::grant::codes::Malformed;

/// Longer than any client's name, and short enough for a column.
const MAX_LENGTH: usize = 255;
/// A longer name would hide the rest of the page.
const MAX_NAME: usize = 40;

/// What a client calls itself (RFC 6749 §2.2): one to 255 printable ASCII characters. It proves nothing: it is compared, and
/// shown as what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientId(String);

impl ClientId {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id if it can be shown to a person as a name: at most 40 letters, digits, spaces and `-_.`.
    pub fn name(&self) -> Option<&str> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'_' | b'.');
        let name = self.0.trim();
        (!name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(is_plain)).then_some(name)
    }
}

impl FromStr for ClientId {
    type Err = Malformed;

    /// RFC 6749, appendix A.1.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let is_valid = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if is_valid { Ok(Self(text.to_owned())) } else { Err(Malformed) }
    }
}

/// The client that Postiz registered for one grant (RFC 7591 §3.2.1). Not a secret: it travels in the authorization URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostizClientId(String);

impl PostizClientId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PostizClientId {
    type Err = Malformed;

    /// RFC 6749, appendix A.1, without the space.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let is_valid = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_valid { Ok(Self(text.to_owned())) } else { Err(Malformed) }
    }
}

/// A client that a request is counted for, and the network around it that one owner may control.
///
/// A household or a server has one IPv4 address or a /64. Providers hand out a /48 to any customer, and an organisation has a
/// /24. An unknown address is a network without a client: all clients without an address share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The IPv4 address itself, or the IPv6 /64.
    pub client: Option<IpNet>,
    /// The IPv4 /24, or the IPv6 /48.
    pub network: IpNet,
}

impl Origin {
    pub fn of(address: Option<IpAddr>) -> Self {
        let Some(address) = address.map(|address| address.to_canonical()) else {
            return Self { client: None, network: IpNet::default() };
        };
        let (client, network) = if address.is_ipv4() { (32, 24) } else { (64, 48) };
        Self { client: Some(around(address, client)), network: around(address, network) }
    }
}

fn around(address: IpAddr, length: u8) -> IpNet {
    IpNet::new(address, length).unwrap_or_else(|_| address.into()).trunc()
}

/// Whether two addresses belong to one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proximity {
    SameNetwork,
    OtherNetwork,
    /// One is IPv4 and the other IPv6, or one is not known. A household has both.
    CannotTell,
}

impl Proximity {
    pub fn of(one: Option<IpAddr>, other: Option<IpAddr>) -> Self {
        let (Some(one), Some(other)) = (one, other) else { return Self::CannotTell };
        let (one, other) = (one.to_canonical(), other.to_canonical());
        if Origin::of(Some(one)).client == Origin::of(Some(other)).client || (one.is_loopback() && other.is_loopback())
        {
            Self::SameNetwork
        } else if one.is_ipv4() == other.is_ipv4() {
            Self::OtherNetwork
        } else {
            Self::CannotTell
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_ids_are_printable_ascii() {
        for text in ["a", "my cli/1.0", &"x".repeat(255)] {
            assert_eq!(text.parse::<ClientId>().unwrap().as_str(), text);
        }
        for text in ["", "ü", "a\nb", &"x".repeat(256)] {
            assert!(text.parse::<ClientId>().is_err(), "{text:?}");
        }
        for text in ["pcd_0123456789abcdef", "!", &"x".repeat(255)] {
            assert_eq!(text.parse::<PostizClientId>().unwrap().as_str(), text);
        }
        for text in ["", "two words", "tab\t", "ü", &"x".repeat(256)] {
            assert!(text.parse::<PostizClientId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_plain_ids_are_shown_as_names() {
        let name = |text: &str| text.parse::<ClientId>().unwrap().name().map(str::to_owned);
        assert_eq!(name(" nightly-report "), Some("nightly-report".to_owned()));
        assert_eq!(name("My CLI 1.0_b"), Some("My CLI 1.0_b".to_owned()));
        for text in ["<b>", "a\"b", "https://evil.example", " ", &"x".repeat(41)] {
            assert_eq!(name(text), None, "{text:?}");
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_are_compared_as_people_have_them() {
        let compare = |one, other| Proximity::of(Some(address(one)), Some(address(other)));
        assert_eq!(compare("8.8.8.8", "::ffff:8.8.8.8"), Proximity::SameNetwork);
        assert_eq!(compare("8.8.8.8", "8.8.8.9"), Proximity::OtherNetwork);
        assert_eq!(compare("2001:db8:1:2::3", "2001:db8:1:2:ffff::1"), Proximity::SameNetwork);
        assert_eq!(compare("2001:db8:1:2::3", "2001:db8:1:3::3"), Proximity::OtherNetwork);
        assert_eq!(compare("8.8.8.8", "2001:db8::1"), Proximity::CannotTell);
        assert_eq!(compare("127.0.0.1", "::1"), Proximity::SameNetwork, "this machine");
        assert_eq!(Proximity::of(None, Some(address("8.8.8.8"))), Proximity::CannotTell);
    }

    #[test]
    fn an_origin_is_a_client_and_the_network_around_it() {
        let text = |text| {
            let origin = Origin::of(Some(address(text)));
            (origin.client.unwrap().to_string(), origin.network.to_string())
        };
        let pair = |client: &str, network: &str| (client.to_owned(), network.to_owned());
        assert_eq!(text("192.0.2.1"), pair("192.0.2.1/32", "192.0.2.0/24"));
        assert_eq!(text("::ffff:192.0.2.1"), pair("192.0.2.1/32", "192.0.2.0/24"));
        assert_eq!(text("2001:db8:1:203:4:5:6:7"), pair("2001:db8:1:203::/64", "2001:db8:1::/48"));
        let unknown = Origin::of(None);
        assert!(unknown.client.is_none() && unknown != Origin::of(Some(address("0.0.0.1"))));
    }
}
