//! The sender of a request, as far as its headers can be trusted: the client's address, and the page that it came from, by the headers
//! that only a browser can set (Fetch Metadata, `Origin`).

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use url::{Host, Url};

use crate::config::{BaseUrl, ClientIpSource, Config, Platform, is_private_address};
use crate::http::protocol::ClientError;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const FLY_CLIENT_IP: HeaderName = HeaderName::from_static("fly-client-ip");
const CF_CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
/// All that are read here.
pub const CLIENT_IP_HEADERS: [HeaderName; 4] = [X_FORWARDED_FOR, X_REAL_IP, FLY_CLIENT_IP, CF_CONNECTING_IP];

/// The client's address by the operator's rule. `None` if it is not known: a proxy stands before the server, and does not pass it
/// on.
pub fn client_ip(config: &Config, request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let headers = request.headers();
    let named = match (config.client_ip_source, config.platform) {
        (ClientIpSource::Connection, _) => return Some(peer),
        (ClientIpSource::RightmostXForwardedFor, _) => forwarded_for(headers).pop().flatten(),
        (ClientIpSource::XRealIp, _) => single(headers, &X_REAL_IP),
        (ClientIpSource::FlyClientIp, _) => single(headers, &FLY_CLIENT_IP),
        (ClientIpSource::CfConnectingIp, _) => single(headers, &CF_CONNECTING_IP),
        // Each platform's own proxy sets these and overwrites what a client sends.
        (ClientIpSource::Auto, Some(Platform::Fly)) => single(headers, &FLY_CLIENT_IP),
        (ClientIpSource::Auto, Some(Platform::Railway)) => single(headers, &X_REAL_IP),
        (ClientIpSource::Auto, Some(Platform::Render)) => single(headers, &CF_CONNECTING_IP),
        (ClientIpSource::Auto, None) => walk(config, headers, peer),
    };
    // With https, something that ends TLS is always before the server.
    let peer_is_client = !(config.server_url.is_https() && may_be_proxy(config, peer));
    named.or(peer_is_client.then_some(peer))
}

/// From the right, each hop was written by the one after it, and counts if that one is a proxy. A private address makes
/// only the peer a proxy: in the header, it may be a client's own.
fn walk(config: &Config, headers: &HeaderMap, peer: IpAddr) -> Option<IpAddr> {
    let (mut client, mut is_proxy) = (None, may_be_proxy(config, peer));
    for hop in forwarded_for(headers).into_iter().rev() {
        if !is_proxy {
            break;
        }
        client = Some(hop?);
        is_proxy = hop.is_some_and(|hop| is_trusted(config, hop));
    }
    client
}

/// Whether this direct peer may be a proxy: one that is named, or one on a private network. Over plain http the whole
/// network reaches the server, so there only this machine counts.
pub fn may_be_proxy(config: &Config, peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    peer.is_loopback() || is_trusted(config, peer) || config.server_url.is_https() && is_private_address(peer)
}

fn is_trusted(config: &Config, address: IpAddr) -> bool {
    config.trusted_proxies.iter().any(|net| net.contains(&address))
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
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
        .or_else(|_| text.trim_matches(['[', ']']).parse());
    bare.ok().map(|address| address.to_canonical())
}

/// How a browser came to a link with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Navigation {
    /// A program such as the terminal opened the link, somebody typed it, or it is on a page of ours. Browsers without Fetch
    /// Metadata arrive like this too.
    Direct,
    /// A page of another site leads here: by a link, a redirect or a script.
    OtherSite,
    /// No person follows the link: an image, a frame, a script, or a speculative load.
    NotFollowed,
}

impl Navigation {
    pub fn of(request: &HttpRequest, server_url: &BaseUrl) -> Self {
        let headers = request.headers();
        let says = |name, expected: &[&str]| {
            headers.get_all(name).all(|value| value.to_str().is_ok_and(|value| expected.contains(&value)))
        };
        // A page may ask the browser to load a link in advance; Chromium then says `none`, as for a typed link.
        let is_followed = says("Sec-Fetch-Mode", &["navigate"])
            && says("Sec-Fetch-Dest", &["document"])
            && !headers.contains_key("Sec-Purpose");
        if !is_followed {
            Self::NotFollowed
        } else if !says("Sec-Fetch-Site", &["none", "same-origin"]) || may_be_rebound(headers, server_url) {
            Self::OtherSite
        } else {
            Self::Direct
        }
    }
}

/// Whether `Host` may be the name of another site that leads here by DNS rebinding, whose pages could then read our answers.
///
/// A certificate prevents that, so only plain http is concerned, where browsers send no Fetch Metadata either. An address
/// can't be rebound; neither can a name without a dot, such as that of the upstream that a proxy writes into `Host`.
fn may_be_rebound(headers: &HeaderMap, server_url: &BaseUrl) -> bool {
    if server_url.is_https() {
        return false;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(Ok(url)) = host.map(|host| format!("http://{host}").parse::<Url>()) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name.contains('.') && url.host_str() != server_url.join("").host_str(),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => false,
    }
}

/// The CSRF check: whether the browser says that a page of ours sent this form. Each browser sends `Origin` or `Sec-Fetch-Site`
/// with a form, so a request without both is refused.
///
/// `Origin` has to be that of `SERVER_URL` even if `Sec-Fetch-Site` says `same-origin`: after DNS rebinding, another site's
/// name leads here, and its pages are of one origin with ours. With https a certificate prevents that. So there `same-origin` is
/// enough beside `Origin: null`, which a proxy causes that adds `Referrer-Policy: no-referrer` to our pages.
pub fn passes_csrf_check(request: &HttpRequest, server_url: &BaseUrl) -> bool {
    let own = server_url.origin();
    let sites = || request.headers().get_all("Sec-Fetch-Site").map(HeaderValue::as_bytes);
    let null_is_own = server_url.is_https() && sites().eq([b"same-origin".as_slice()]);
    let origins = request.headers().get_all(ORIGIN).map(HeaderValue::as_bytes);
    let origins = origins.map(|origin| origin == own.as_bytes() || null_is_own && origin == b"null");
    let mut claims = origins.chain(sites().map(|site| matches!(site, b"same-origin" | b"none"))).peekable();
    claims.peek().is_some() && claims.all(|is_own| is_own)
}

/// Refuses requests that a web page sent: a page has no business with device codes, and would act from its visitor's
/// network. No program sends these headers.
pub fn refuse_pages(request: &HttpRequest) -> Result<(), ClientError> {
    let headers = request.headers();
    if headers.contains_key(ORIGIN) || headers.contains_key("Sec-Fetch-Site") {
        let text = "This address is for programs, not for web pages.";
        return Err(ClientError::InvalidRequest(StatusCode::BAD_REQUEST, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    fn config(server_url: &str, trusted: &[&str]) -> Config {
        let variables =
            [("DATABASE_URL", "postgres://u@h/d"), ("SERVER_URL", server_url), ("TRUSTED_PROXIES", &trusted.join(","))];
        Config::from_vars(variables.map(|(name, value)| (name.into(), value.into()))).unwrap()
    }

    /// Behind https.
    fn rule(client_ip_source: ClientIpSource, trusted: &[&str]) -> Config {
        Config { client_ip_source, ..config("https://auth.example.com", trusted) }
    }

    fn found(rule: &Config, peer: &str, headers: &[(&'static str, &str)]) -> String {
        let mut request = TestRequest::default().peer_addr(format!("{peer}:1").parse().unwrap());
        for (name, value) in headers {
            request = request.append_header((*name, HeaderValue::from_bytes(value.as_bytes()).unwrap()));
        }
        client_ip(rule, &request.to_http_request()).map_or_else(|| "unknown".to_owned(), |address| address.to_string())
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
        assert_eq!(found(&config("http://auth.lan", &[]), "127.0.0.1", &[]), "127.0.0.1", "a person at this machine");
    }

    #[test]
    fn over_plain_http_a_neighbour_is_no_proxy() {
        let (http, claimed) = (config("http://auth.lan", &["192.168.1.5/32"]), &[("X-Forwarded-For", "8.8.8.8")][..]);
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

    fn navigation(server_url: &str, headers: &[(&'static str, &'static str)]) -> Navigation {
        let request = headers.iter().fold(TestRequest::default(), |request, header| request.append_header(*header));
        Navigation::of(&request.to_http_request(), &server_url.parse().unwrap())
    }

    /// As Chromium sends them.
    #[test]
    fn only_a_followed_link_is_entered_and_only_from_outside_the_web() {
        const DIRECT: Navigation = Navigation::Direct;
        for (site, mode, dest, expected) in [
            ("none", "navigate", "document", DIRECT),
            ("same-origin", "navigate", "document", DIRECT),
            ("cross-site", "navigate", "document", Navigation::OtherSite),
            ("same-site", "navigate", "document", Navigation::OtherSite),
            ("", "navigate", "document", Navigation::OtherSite),
            ("cross-site", "no-cors", "image", Navigation::NotFollowed),
            ("cross-site", "navigate", "iframe", Navigation::NotFollowed),
            ("cross-site", "navigate", "embed", Navigation::NotFollowed),
            ("cross-site", "no-cors", "empty", Navigation::NotFollowed),
            ("same-origin", "cors", "empty", Navigation::NotFollowed),
        ] {
            let headers = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest)];
            assert_eq!(navigation("https://auth.example.com", &headers), expected, "{headers:?}");
        }
        assert_eq!(navigation("https://auth.example.com", &[]), DIRECT, "an old browser");
        for purpose in ["prefetch", "prefetch;prerender"] {
            let headers = [("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Purpose", purpose)];
            assert_eq!(navigation("https://auth.example.com", &headers), Navigation::NotFollowed);
        }
    }

    #[test]
    fn another_sites_name_is_another_site_under_plain_http() {
        let host = |server_url, host| navigation(server_url, &[("Host", host)]);
        assert_eq!(host("http://auth.lan:3000", "evil.example:3000"), Navigation::OtherSite);
        // Its own name, addresses, and what proxies write.
        for own in ["auth.lan:3000", "AUTH.LAN", "192.168.1.5:3000", "[fd00::1]:3000", "localhost:3000", "upstream", ""]
        {
            assert_eq!(host("http://auth.lan:3000", own), Navigation::Direct, "{own}");
        }
        assert_eq!(host("https://auth.example.com", "backend.internal.example"), Navigation::Direct);
    }

    #[test]
    fn a_form_of_ours_is_told_by_its_origin() {
        let is_own = |server_url: &str, headers: &[(&'static str, &'static str)]| {
            let request = headers.iter().fold(TestRequest::default(), |request, header| request.append_header(*header));
            passes_csrf_check(&request.to_http_request(), &server_url.parse().unwrap())
        };
        let (https, http) = ("https://auth.example.com/x", "http://auth.lan");
        let (origin, null) = (("Origin", "https://auth.example.com"), ("Origin", "null"));
        let (same, cross) = (("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site"));
        assert!(is_own(https, &[origin, same]) && is_own(https, &[origin]) && is_own(https, &[same]));
        assert!(is_own(http, &[("Origin", "http://auth.lan")]));
        assert!(is_own(https, &[null, same]), "a proxy adds Referrer-Policy: no-referrer");
        assert!(!is_own(http, &[null, same]), "after DNS rebinding, a page of the other site says so");
        for refused in [&[][..], &[null], &[origin, cross], &[null, cross], &[("Origin", "https://evil.example"), same]]
        {
            assert!(!is_own(https, refused), "{refused:?}");
        }
        assert!(!is_own(https, &[null, same, cross]) && !is_own(https, &[("Origin", "http://auth.example.com")]));
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
