//! Which names and addresses are private, judged without resolving a name.

use std::net::IpAddr;

/// Endings of names that no public DNS server resolves: RFC 6761, 6762, 8375 and 9476, and those of Fly.io, Kubernetes
/// and home routers.
const PRIVATE_ENDINGS: [&str; 8] =
    ["localhost", "local", "home.arpa", "internal", "flycast", "svc", "localdomain", "lan"];

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
