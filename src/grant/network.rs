//! Networks: what counts as one client, and what one client may control around it.

use std::net::IpAddr;

use ipnet::IpNet;

/// Prefix lengths from one client outwards. A household or a server has one IPv4 address or a /64; providers hand out a
/// /56 or a /48 to any customer, and an organisation has a /24.
const IPV4_PREFIXES: &[u8] = &[32, 24];
const IPV6_PREFIXES: &[u8] = &[64, 56, 48];

/// The limit of each of a client's [`networks`], as a multiple of the client's own.
pub const GROWTH: [u32; 3] = [1, 4, 16];

/// Clients without an address count as one.
pub fn or_unspecified(client: Option<IpAddr>) -> IpAddr {
    client.unwrap_or(IpAddr::from([0; 4]))
}

/// The networks around an address, the client's own first.
pub fn networks(address: IpAddr) -> impl Iterator<Item = IpNet> {
    let address = address.to_canonical();
    let prefixes = if address.is_ipv6() { IPV6_PREFIXES } else { IPV4_PREFIXES };
    prefixes.iter().map(move |length| IpNet::new(address, *length).unwrap_or_else(|_| address.into()).trunc())
}

/// The client's own network: the IPv4 address itself, or the IPv6 /64.
pub fn network(address: IpAddr) -> IpNet {
    networks(address).next().unwrap_or_else(|| address.into())
}

/// The largest network that one client may control: an IPv4 /24, or an IPv6 /48.
pub fn surroundings(address: IpAddr) -> IpNet {
    networks(address).last().unwrap_or_else(|| address.into())
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
        if network(one) == network(other) || (one.is_loopback() && other.is_loopback()) {
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
    fn networks_grow_from_the_client_outwards() {
        let text = |text| networks(address(text)).map(|net| net.to_string()).collect::<Vec<_>>();
        assert_eq!(text("192.0.2.1"), ["192.0.2.1/32", "192.0.2.0/24"]);
        assert_eq!(text("::ffff:192.0.2.1"), ["192.0.2.1/32", "192.0.2.0/24"]);
        assert_eq!(text("2001:db8:1:203:4:5:6:7"), ["2001:db8:1:203::/64", "2001:db8:1:200::/56", "2001:db8:1::/48"]);
    }
}
