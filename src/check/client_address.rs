//! Whether the server sees its clients' addresses, judged by the one that it noted of a login.
//!
//! The request claimed to come from elsewhere. A proxy that appends the real address makes the server take that one. If this
//! machine counts as a proxy itself, the server rightly believes what it claims, so there is no verdict.

use std::net::IpAddr;

use crate::check::report::{Check, Finding};
use crate::check::trial_login::FORGED;
use crate::config::{ClientIpSource, Config, Platform, is_private_address};

pub(super) const CHECK: Check = Check::new(
    "server_url.client_address",
    "People compare the terminal's address with their own before they approve, and rate limits count by it.",
);
const APPEND: &str = "Let the proxy append the client's address to X-Forwarded-For (nginx: proxy_set_header X-Forwarded-For \
                      $proxy_add_x_forwarded_for;). Name a proxy with a public address, and each one before the first, in \
                      TRUSTED_PROXIES. If your proxy uses another header, name that in CLIENT_IP_SOURCE.";

/// `requester` is what the server took for the client's address, `from` the address from which the request came as far as this
/// machine knows.
pub(super) fn finding(
    config: &Config,
    requester: Option<IpAddr>,
    from: Option<IpAddr>,
    is_own: fn(IpAddr) -> bool,
) -> Finding {
    let is_https = config.server_url.is_https();
    // Behind a NAT, a proxy sees this machine under another private address.
    let is_trusted = |address: IpAddr| {
        let is_private = is_private_address(address);
        config
            .trusted_proxies
            .iter()
            .any(|net| net.contains(&address) || is_private && is_private_address(net.network()))
    };
    let is_proxy = from.is_none_or(|from| is_trusted(from) || (!is_https && from.is_loopback()));
    match requester {
        Some(client) if client == FORGED && is_proxy => {
            CHECK.skipped("This machine counts as a proxy, so what it claims is believed: check from another one.")
        }
        Some(client) if client == FORGED => {
            let header = match (config.client_ip_source, config.platform) {
                (ClientIpSource::XRealIp, _) | (ClientIpSource::Auto, Some(Platform::Railway)) => "X-Real-IP",
                _ => "X-Forwarded-For",
            };
            CHECK.fail(
                format!("A client can choose its own address: the proxy passes {header} on unchanged."),
                format!("Let the proxy write {header} itself: append to X-Forwarded-For, replace X-Real-IP."),
            )
        }
        _ if is_https && config.client_ip_source == ClientIpSource::Connection => CHECK.warn(
            "CLIENT_IP_SOURCE=Connection gives every client the address of the proxy that ends TLS.",
            "Set CLIENT_IP_SOURCE=Auto.",
        ),
        None if is_https => CHECK.warn("The proxy that ends TLS passes no client's address on.", APPEND),
        None => CHECK.skipped("The connection had no address."),
        Some(client) if is_https && client.is_loopback() => {
            CHECK.skipped(format!("The server sees {client}, this machine itself: check from another one."))
        }
        Some(client) if is_https && is_private_address(client) && !is_own(client) => CHECK.warn(
            format!("The server sees the private address {client}. If it is a proxy's, all clients seem to have it."),
            APPEND,
        ),
        Some(client) => CHECK.ok(format!("The server sees this machine as {client} and ignores a forged address.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::report::Verdict;

    fn config(server_url: &str, source: &str, trusted: &str) -> Config {
        let variables = [
            ("DATABASE_URL", "postgres://auth:x@localhost/auth"),
            ("SERVER_URL", server_url),
            ("CLIENT_IP_SOURCE", source),
            ("TRUSTED_PROXIES", trusted),
        ];
        Config::from_vars(variables.map(|(name, value)| (name.into(), value.into()))).unwrap()
    }

    #[test]
    fn what_the_server_noted_is_judged_only_where_it_tells_something() {
        use Verdict::{Fail, Ok, Skipped, Warn};
        let (https, http) = ("https://auth.example.com", "http://nas.lan:3111");
        for (url, source, trusted, requester, from, verdict) in [
            (https, "Auto", "", "192.0.2.77", "10.0.0.5", Fail),
            (https, "Auto", "10.0.0.0/8", "192.0.2.77", "10.0.0.5", Skipped),
            (https, "Auto", "172.18.0.1", "192.0.2.77", "10.0.0.5", Skipped),
            (https, "Auto", "203.0.113.0/24", "192.0.2.77", "10.0.0.5", Fail),
            (https, "Auto", "", "192.0.2.77", "", Skipped),
            (http, "Auto", "", "192.0.2.77", "127.0.0.1", Skipped),
            (http, "Auto", "", "192.0.2.77", "192.168.1.9", Fail),
            (https, "Auto", "", "", "10.0.0.5", Warn),
            (http, "Auto", "", "", "10.0.0.5", Skipped),
            (https, "Auto", "", "10.0.0.9", "10.0.0.5", Warn),
            (https, "Auto", "", "10.0.0.5", "10.0.0.5", Ok),
            (https, "Auto", "", "127.0.0.1", "127.0.0.1", Skipped),
            (http, "Auto", "", "192.168.1.9", "192.168.1.9", Ok),
            (https, "Connection", "", "203.0.113.9", "10.0.0.5", Warn),
            (https, "Auto", "", "203.0.113.9", "10.0.0.5", Ok),
        ] {
            let (requester, from) = (requester.parse().ok(), from.parse().ok());
            let found = finding(&config(url, source, trusted), requester, from, |address| {
                address == IpAddr::from([10, 0, 0, 5])
            });
            assert_eq!(found.verdict, verdict, "{url} {source} {trusted}: {requester:?} from {from:?}");
        }
    }
}
