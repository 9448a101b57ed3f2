//! The client's address, as far as the request's headers can be trusted.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::config::{ClientIpSource, Config, Platform, is_private_address};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const FLY_CLIENT_IP: HeaderName = HeaderName::from_static("fly-client-ip");
const CF_CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
/// All that are read here.
pub const CLIENT_IP_HEADERS: [HeaderName; 4] = [X_FORWARDED_FOR, X_REAL_IP, FLY_CLIENT_IP, CF_CONNECTING_IP];

/// Finds the client's address by the operator's rule.
#[derive(Debug, Clone)]
pub struct ClientIp {
    source: ClientIpSource,
    platform: Option<Platform>,
    trusted: Vec<IpNet>,
    is_https: bool,
}

impl ClientIp {
    pub fn new(config: &Config) -> Self {
        Self {
            source: config.client_ip_source,
            platform: config.platform,
            trusted: config.trusted_proxies.clone(),
            is_https: config.server_url.is_https(),
        }
    }

    /// `None` if it is not known: a proxy stands before the server, and does not pass it on.
    pub fn of(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip().to_canonical();
        let headers = request.headers();
        let named = match (self.source, self.platform) {
            (ClientIpSource::Connection, _) => return Some(peer),
            (ClientIpSource::RightmostXForwardedFor, _) => forwarded_for(headers).pop().flatten(),
            (ClientIpSource::XRealIp, _) => single(headers, &X_REAL_IP),
            (ClientIpSource::FlyClientIp, _) => single(headers, &FLY_CLIENT_IP),
            (ClientIpSource::CfConnectingIp, _) => single(headers, &CF_CONNECTING_IP),
            // Each platform's own proxy sets these and overwrites what a client sends.
            (ClientIpSource::Auto, Some(Platform::Fly)) => single(headers, &FLY_CLIENT_IP),
            (ClientIpSource::Auto, Some(Platform::Railway)) => single(headers, &X_REAL_IP),
            (ClientIpSource::Auto, Some(Platform::Render)) => single(headers, &CF_CONNECTING_IP),
            (ClientIpSource::Auto, None) => self.walk(headers, peer),
        };
        // With https, something that ends TLS is always before the server.
        let peer_is_client = !(self.is_https && self.may_be_proxy(peer));
        named.or(peer_is_client.then_some(peer))
    }

    /// From the right, each hop was written by the one after it, and counts if that one is a proxy. A private address makes
    /// only the peer a proxy: in the header, it may be a client's own.
    fn walk(&self, headers: &HeaderMap, peer: IpAddr) -> Option<IpAddr> {
        let (mut client, mut is_proxy) = (None, self.may_be_proxy(peer));
        for hop in forwarded_for(headers).into_iter().rev() {
            if !is_proxy {
                break;
            }
            client = Some(hop?);
            is_proxy = hop.is_some_and(|hop| self.is_trusted(hop));
        }
        client
    }

    /// Whether this direct peer may be a proxy: one that is named, or one on a private network. Over plain http the whole
    /// network reaches the server, so there only this machine counts.
    pub fn may_be_proxy(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_loopback() || self.is_trusted(peer) || self.is_https && is_private_address(peer)
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&address))
    }

    #[cfg(test)]
    pub(super) fn for_tests(is_https: bool, trusted: &[&str]) -> Self {
        let trusted = trusted.iter().map(|net| net.parse().unwrap()).collect();
        Self { source: ClientIpSource::Auto, platform: None, trusted, is_https }
    }
}

/// A header that one proxy sets. If it is there twice, a client may have sent one of them.
fn single(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let mut values = headers.get_all(name);
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    address(value.as_bytes())
}

/// All hops of all lines, left to right; `None` for one that is not an address. Bytes that a client wrote spoil no other hop.
fn forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lines = headers.get_all(&X_FORWARDED_FOR);
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(address).collect()
}

/// An address, with or without a port.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(bytes).ok()?.trim_matches([' ', '\t']);
    let bare = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<std::net::SocketAddr>().map(|socket| socket.ip()))
        .or_else(|_| text.trim_matches(['[', ']']).parse());
    bare.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    /// Behind https.
    fn rule(source: ClientIpSource, trusted: &[&str]) -> ClientIp {
        ClientIp { source, ..ClientIp::for_tests(true, trusted) }
    }

    fn found(rule: &ClientIp, peer: &str, headers: &[(&'static str, &str)]) -> String {
        let mut request = TestRequest::default().peer_addr(format!("{peer}:1").parse().unwrap());
        for (name, value) in headers {
            request = request.append_header((*name, HeaderValue::from_bytes(value.as_bytes()).unwrap()));
        }
        rule.of(&request.to_http_request()).map_or_else(|| "unknown".to_owned(), |address| address.to_string())
    }

    #[test]
    fn headers_of_a_client_from_the_internet_are_ignored() {
        let auto = rule(ClientIpSource::Auto, &[]);
        assert_eq!(found(&auto, "8.8.8.8", &[("X-Forwarded-For", "1.2.3.4"), ("X-Real-IP", "1.2.3.4")]), "8.8.8.8");
    }

    #[test]
    fn behind_a_private_proxy_each_client_has_its_own_address() {
        let auto = rule(ClientIpSource::Auto, &[]);
        assert_eq!(found(&auto, "127.0.0.1", &[("X-Forwarded-For", "8.8.8.8")]), "8.8.8.8");
        assert_eq!(found(&auto, "10.0.0.2", &[("X-Forwarded-For", "6.6.6.6, 8.8.8.8")]), "8.8.8.8");
        assert_eq!(
            found(&auto, "10.0.0.2", &[("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "8.8.8.8")]),
            "8.8.8.8"
        );
        assert_eq!(found(&auto, "10.0.0.2", &[("X-Forwarded-For", "8.8.8.8, nonsense")]), "unknown");
        assert_eq!(found(&auto, "10.0.0.2", &[("X-Forwarded-For", "münchen, 8.8.8.8")]), "8.8.8.8");
    }

    #[test]
    fn behind_a_proxy_that_passes_nothing_on_the_address_is_unknown() {
        let auto = rule(ClientIpSource::Auto, &["9.9.9.0/24"]);
        for proxy in ["127.0.0.1", "10.0.0.2", "9.9.9.1"] {
            assert_eq!(found(&auto, proxy, &[]), "unknown");
        }
        assert_eq!(found(&auto, "8.8.8.8", &[]), "8.8.8.8");
        assert_eq!(found(&ClientIp::for_tests(false, &[]), "127.0.0.1", &[]), "127.0.0.1", "a person at this machine");
    }

    #[test]
    fn over_plain_http_a_neighbour_is_no_proxy() {
        let (http, claimed) = (ClientIp::for_tests(false, &["192.168.1.5/32"]), &[("X-Forwarded-For", "8.8.8.8")][..]);
        assert_eq!(found(&http, "192.168.1.7", claimed), "192.168.1.7");
        assert_eq!(found(&http, "192.168.1.5", claimed), "8.8.8.8");
        assert_eq!(found(&http, "127.0.0.1", claimed), "8.8.8.8");
    }

    #[test]
    fn a_client_with_a_private_address_can_not_choose_another_one() {
        let auto = rule(ClientIpSource::Auto, &[]);
        for own in ["10.0.0.9", "100.64.0.9", "192.168.1.9", "fd00::9"] {
            assert_eq!(found(&auto, "10.0.0.2", &[("X-Forwarded-For", &format!("6.6.6.6, {own}"))]), own);
        }
    }

    #[test]
    fn further_proxies_have_to_be_named() {
        let chain: &[_] = &[("X-Forwarded-For", "6.6.6.6, 8.8.8.8, 10.0.0.9")];
        assert_eq!(found(&rule(ClientIpSource::Auto, &["10.0.0.9/32"]), "10.0.0.2", chain), "8.8.8.8");
        assert_eq!(found(&rule(ClientIpSource::Auto, &["10.0.0.0/8"]), "10.0.0.2", chain), "8.8.8.8");
    }

    #[test]
    fn only_a_named_proxy_is_trusted() {
        let auto = rule(ClientIpSource::Auto, &["9.9.9.0/24"]);
        assert_eq!(found(&auto, "9.9.9.1", &[("X-Forwarded-For", "6.6.6.6, 8.8.8.8")]), "8.8.8.8");
        assert_eq!(found(&auto, "9.9.8.1", &[("X-Forwarded-For", "8.8.8.8")]), "9.9.8.1");
    }

    #[test]
    fn a_single_header_is_used_if_the_operator_chooses_it() {
        let headers: &[_] = &[("Fly-Client-IP", "8.8.8.8"), ("X-Forwarded-For", "6.6.6.6")];
        assert_eq!(found(&rule(ClientIpSource::FlyClientIp, &[]), "172.16.0.1", headers), "8.8.8.8");
        assert_eq!(found(&rule(ClientIpSource::Connection, &[]), "172.16.0.1", headers), "172.16.0.1");
        assert_eq!(found(&rule(ClientIpSource::RightmostXForwardedFor, &[]), "7.7.7.7", headers), "6.6.6.6");
        let twice: &[_] = &[("X-Real-IP", "8.8.8.8"), ("X-Real-IP", "6.6.6.6")];
        assert_eq!(found(&rule(ClientIpSource::XRealIp, &[]), "172.16.0.1", twice), "unknown");
    }

    proptest! {
        #[test]
        fn from_the_internet_no_header_changes_the_address(value in "[ -~]{0,60}") {
            let auto = rule(ClientIpSource::Auto, &[]);
            prop_assert_eq!(found(&auto, "8.8.8.8", &[("X-Forwarded-For", &value)]), "8.8.8.8");
        }

        #[test]
        fn behind_a_proxy_that_appends_no_header_changes_the_address(value in "[ -~]{0,60}") {
            let auto = rule(ClientIpSource::Auto, &[]);
            let appended = format!("{value}, 10.0.0.9");
            prop_assert_eq!(found(&auto, "10.0.0.2", &[("X-Forwarded-For", &appended)]), "10.0.0.9");
        }
    }
}
