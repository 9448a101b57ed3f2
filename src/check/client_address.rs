//! Whether the server sees its clients' addresses, judged by a request that came through the proxy.

use std::net::{IpAddr, Ipv4Addr};

use crate::check::report::Finding;
use crate::config::{ClientIpSource, Config, Platform};
use crate::http::self_check_key::ObservedRequest;

/// Sent in `X-Forwarded-For`, as a client might; reserved for documentation (RFC 5737).
pub(super) const CLAIMED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const CHECK: &str = "server_url.client_address";
const CHAIN: &str = "x-forwarded-for";
const WHY: &str =
    "People compare the terminal's address with their own before they approve, and rate limits count by it.";

/// Headers that hold a single address, and the source that reads each; the most specific first.
const SINGLE: [(&str, ClientIpSource); 3] = [
    ("fly-client-ip", ClientIpSource::FlyClientIp),
    ("cf-connecting-ip", ClientIpSource::CfConnectingIp),
    ("x-real-ip", ClientIpSource::XRealIp),
];

/// The request claimed to come from [`CLAIMED`], as a client might.
pub(super) fn finding(config: &Config, seen: &ObservedRequest) -> Finding {
    let Some(client) = seen.client else {
        return Finding::skipped(CHECK, "The connection had no address.");
    };
    if client == IpAddr::V4(CLAIMED) {
        return believed(config, seen);
    }
    if seen.peer != Some(client) {
        return further_proxy(config, seen, client).unwrap_or_else(|| {
            Finding::ok(CHECK, format!("CLIENT_IP_SOURCE={} gives the client's address.", config.client_ip_source))
        });
    }
    match better(config, seen, client) {
        Some(fix) => {
            Finding::fail(CHECK, format!("Every client seems to have the address {client}, the proxy's."), WHY, fix)
        }
        None if config.server_url.is_https() => Finding::fail(
            CHECK,
            format!(
                "Every client seems to have the address {client}: the proxy that ends TLS does not pass the client's on."
            ),
            WHY,
            "Let the proxy append the client's address to X-Forwarded-For. nginx: proxy_set_header X-Forwarded-For \
             $proxy_add_x_forwarded_for;",
        ),
        None => {
            Finding::ok(CHECK, format!("No proxy in between; the client's address is its connection's, here {client}."))
        }
    }
}

/// The setting that would give the client's address instead of the proxy's.
fn better(config: &Config, seen: &ObservedRequest, proxy: IpAddr) -> Option<String> {
    let single = SINGLE.iter().find(|(header, _)| written(seen, header)).map(|(_, source)| *source);
    let chain = written(seen, CHAIN);
    match single {
        // If both are there, most proxies maintain X-Forwarded-For correctly.
        Some(source) if !chain || source != ClientIpSource::XRealIp => Some(format!("Set CLIENT_IP_SOURCE={source}.")),
        _ if !chain => None,
        _ if config.client_ip_source != ClientIpSource::Auto => Some("Set CLIENT_IP_SOURCE=Auto.".to_owned()),
        _ => Some(format!("Set TRUSTED_PROXIES={proxy}, or the proxy's whole network.")),
    }
}

/// `X-Forwarded-For` names an address before the one that is taken for the client: the latter is a proxy, too.
fn further_proxy(config: &Config, seen: &ObservedRequest, taken: IpAddr) -> Option<Finding> {
    let reads_chain = match config.client_ip_source {
        ClientIpSource::Auto => config.platform.is_none(),
        ClientIpSource::RightmostXForwardedFor => true,
        _ => false,
    };
    let chain: Vec<IpAddr> = seen.forwarded.get(CHAIN)?.split(',').filter_map(|hop| hop.trim().parse().ok()).collect();
    let at = chain.iter().rposition(|hop| hop.to_canonical() == taken)?;
    let client = chain[..at].iter().rfind(|hop| **hop != IpAddr::V4(CLAIMED))?;
    let auto = if config.client_ip_source == ClientIpSource::Auto { "" } else { "CLIENT_IP_SOURCE=Auto and " };
    reads_chain.then(|| {
        Finding::warn(
            CHECK,
            format!("{taken} is taken for the client, but it passed on a request of {client}: it is a proxy, too."),
            WHY,
            format!("Set {auto}TRUSTED_PROXIES={taken}, or the proxies' whole network."),
        )
    })
}

/// Whether a proxy has written this header.
fn written(seen: &ObservedRequest, header: &str) -> bool {
    seen.forwarded.get(header).is_some_and(|value| *value != CLAIMED.to_string())
}

/// The address that the client claimed was believed.
fn believed(config: &Config, seen: &ObservedRequest) -> Finding {
    let header = match (config.client_ip_source, config.platform) {
        (ClientIpSource::XRealIp, _) | (ClientIpSource::Auto, Some(Platform::Railway)) => "X-Real-IP",
        _ => "X-Forwarded-For",
    };
    // Only trusted proxies' addresses were appended: this check itself runs in their network.
    if written(seen, &header.to_ascii_lowercase()) {
        return Finding::ok(CHECK, "The proxy appends the client's address to X-Forwarded-For.");
    }
    Finding::fail(
        CHECK,
        format!("A client can choose its own address: the proxy passes {header} on unchanged."),
        WHY,
        format!("Let the proxy write {header} itself: append to X-Forwarded-For, replace X-Real-IP."),
    )
}
