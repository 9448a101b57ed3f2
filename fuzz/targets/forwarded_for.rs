//! The client's address. No header of a client from the internet changes it, and none that a proxy has appended to.
#![no_main]

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::test::TestRequest;
use libfuzzer_sys::fuzz_target;
use postiz_auth_server::config::Config;
use postiz_auth_server::http::sender::client_ip;

const NAMES: [&str; 4] = ["x-forwarded-for", "x-real-ip", "fly-client-ip", "cf-connecting-ip"];

/// The first two believe no stranger.
static RULES: LazyLock<[Config; 6]> = LazyLock::new(|| {
    ["Auto", "Connection", "RightmostXForwardedFor", "XRealIp", "FlyClientIp", "CfConnectingIp"].map(rule)
});

fn rule(source: &str) -> Config {
    let variables = [
        ("DATABASE_URL", "postgres://u@h/d"),
        ("POSTIZ_OAUTH_CLIENT_ID", "x"),
        ("POSTIZ_OAUTH_CLIENT_SECRET", "x"),
        ("CLIENT_IP_SOURCE", source),
        ("TRUSTED_PROXIES", "203.0.113.0/24"),
    ];
    Config::from_vars(variables.map(|(name, value)| (name.into(), value.into()))).unwrap()
}

fuzz_target!(|headers: Vec<(u8, Vec<u8>)>| {
    let request = |peer: &str| {
        let mut request = TestRequest::default().peer_addr(SocketAddr::new(peer.parse().unwrap(), 1));
        for (name, value) in &headers {
            let name = HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]);
            if let Ok(value) = HeaderValue::from_bytes(value) {
                request = request.append_header((name, value));
            }
        }
        request
    };
    let stranger: IpAddr = "8.8.8.8".parse().unwrap();
    for rule in &RULES[..2] {
        assert_eq!(client_ip(rule, &request("8.8.8.8").to_http_request()), Some(stranger));
    }
    // The proxy appends its client's address. The second client has a private one, as in a VPN.
    for client in ["8.8.8.8", "10.0.0.9"] {
        let client: IpAddr = client.parse().unwrap();
        let appended = request("127.0.0.1").append_header(("x-forwarded-for", client.to_string()));
        assert_eq!(client_ip(&RULES[0], &appended.to_http_request()), Some(client));
    }
    for peer in ["127.0.0.1", "203.0.113.9", "fd00::1"] {
        let request = request(peer).to_http_request();
        for rule in RULES.iter() {
            let found = client_ip(rule, &request).expect("an address");
            assert_eq!(found, found.to_canonical());
        }
    }
});
