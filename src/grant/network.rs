//! Networks: what counts as one client, and as one household.

use std::net::IpAddr;

use ipnet::IpNet;

/// Bits of an IPv6 address that one line or one machine is given; the rest it chooses as it likes.
const IPV6_PREFIX: u8 = 64;

/// The network that an address belongs to: the IPv4 address itself, or the IPv6 /64.
pub fn network(address: IpAddr) -> IpNet {
    let address = address.to_canonical();
    let length = if address.is_ipv6() { IPV6_PREFIX } else { 32 };
    IpNet::new(address, length).unwrap_or_else(|_| address.into()).trunc()
}

/// The larger network around it, which an organisation or an attacker can fill: an IPv4 /24, or an IPv6 /48.
pub fn surroundings(address: IpAddr) -> IpNet {
    let address = address.to_canonical();
    let length = if address.is_ipv6() { 48 } else { 24 };
    IpNet::new(address, length).unwrap_or_else(|_| address.into()).trunc()
}

/// Whether two addresses belong to one network. `None` where one is IPv4 and the other IPv6, which
/// one household has both of.
pub fn same_network(one: IpAddr, other: IpAddr) -> Option<bool> {
    let (one, other) = (network(one), network(other));
    (one.addr().is_ipv4() == other.addr().is_ipv4()).then_some(one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_compared_as_people_have_them() {
        let same = |one: &str, other: &str| same_network(one.parse().unwrap(), other.parse().unwrap());
        assert_eq!(same("8.8.8.8", "::ffff:8.8.8.8"), Some(true));
        assert_eq!(same("8.8.8.8", "8.8.8.9"), Some(false));
        assert_eq!(same("2001:db8:1:2::3", "2001:db8:1:2:ffff::1"), Some(true));
        assert_eq!(same("2001:db8:1:2::3", "2001:db8:1:3::3"), Some(false));
        assert_eq!(same("8.8.8.8", "2001:db8::1"), None);
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_64() {
        let text = |address: &str| network(address.parse().unwrap()).to_string();
        assert_eq!(text("192.0.2.1"), "192.0.2.1/32");
        assert_eq!(text("::ffff:192.0.2.1"), "192.0.2.1/32");
        assert_eq!(text("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    }
}
