//! Whether the server can tell its clients apart, judged by what a request through the proxy looked like.

use std::net::IpAddr;

use crate::check::report::Finding;
use crate::check::server_url::CLAIMED;
use crate::config::{ClientIpSource, Config, Platform};
use crate::http::mirror::Reflection;

const CHECK: &str = "server_url.client_address";
const WHY: &str =
    "People compare the address of the terminal with their own before they approve, and limits count by it.";

/// Headers that one proxy writes, and the source that reads each, the most telling first.
const SINGLE: [(&str, ClientIpSource); 3] = [
    ("fly-client-ip", ClientIpSource::FlyClientIp),
    ("cf-connecting-ip", ClientIpSource::CfConnectingIp),
    ("x-real-ip", ClientIpSource::XRealIp),
];

/// The request claimed to come from [`CLAIMED`], as a client might.
pub(super) fn finding(config: &Config, seen: &Reflection) -> Finding {
    let Some(client) = seen.client else {
        return Finding::unknown(CHECK, "The connection had no address.");
    };
    if client == IpAddr::V4(CLAIMED) {
        return believed(config, seen);
    }
    if seen.peer != Some(client) {
        return Finding::right(CHECK, format!("CLIENT_IP_SOURCE={} tells clients apart.", config.client_ip_source));
    }
    match better(config, seen, client) {
        Some(mend) => Finding::wrong(CHECK, format!("Every client looks like {client}, the proxy."), WHY, mend),
        None if config.server_url.is_https() => Finding::wrong(
            CHECK,
            format!("Every client looks like {client}: the proxy that ends TLS does not name its client."),
            WHY,
            "Let the proxy append the client to X-Forwarded-For; nginx: proxy_set_header X-Forwarded-For \
             $proxy_add_x_forwarded_for;",
        ),
        None => {
            Finding::right(CHECK, format!("No proxy was met; clients are known by their connection, here {client}."))
        }
    }
}

/// What would tell the clients apart that all look like the proxy.
fn better(config: &Config, seen: &Reflection, proxy: IpAddr) -> Option<String> {
    let single = SINGLE.iter().find(|(header, _)| written(seen, header)).map(|(_, source)| *source);
    let chain = written(seen, "x-forwarded-for");
    match single {
        // Where both are there, the chain is what most proxies keep right.
        Some(source) if !chain || source != ClientIpSource::XRealIp => Some(format!("Set CLIENT_IP_SOURCE={source}.")),
        _ if !chain => None,
        _ if config.client_ip_source != ClientIpSource::Auto => Some("Set CLIENT_IP_SOURCE=Auto.".to_owned()),
        _ => Some(format!("Set TRUSTED_PROXIES={proxy}, or the proxy's whole network.")),
    }
}

/// Whether a proxy has had a hand in this header.
fn written(seen: &Reflection, header: &str) -> bool {
    seen.forwarded.get(header).is_some_and(|value| *value != CLAIMED.to_string())
}

/// The header that holds a client's own claim is taken at its word.
fn believed(config: &Config, seen: &Reflection) -> Finding {
    let header = match (config.client_ip_source, config.platform) {
        (ClientIpSource::XRealIp, _) | (ClientIpSource::Auto, Some(Platform::Railway)) => "X-Real-IP",
        _ => "X-Forwarded-For",
    };
    // A chain that only private addresses were appended to: this check itself runs behind the proxy.
    if written(seen, &header.to_ascii_lowercase()) {
        return Finding::right(CHECK, "The proxy appends its client to X-Forwarded-For.");
    }
    Finding::wrong(
        CHECK,
        format!("A client can choose its own address: the proxy passes {header} on as it comes."),
        WHY,
        format!("Let the proxy write {header} itself: X-Forwarded-For appended to, X-Real-IP replaced."),
    )
}
