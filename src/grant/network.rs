//! Networks: what counts as one client, and what one client may control around it.

use std::net::IpAddr;

use ipnet::IpNet;

/// Who a request is counted for: a client, and what one owner may control around it.
///
/// A household or a server has one IPv4 address or a /64. Providers hand out a /48 to any customer, and an organisation has a
/// /24. An unknown address is a network without a client: all who have none share it.
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
