//! Parsers for the text of a variable. Each error completes the sentence "NAME ..." and quotes nothing: whether the value may
//! be shown is decided elsewhere.

use std::fmt::Display;
use std::io::IsTerminal as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use strum::{EnumString, VariantNames};
use url::Url;

/// Fits on one line at the bottom of a page.
const OPERATOR_NAME_CHARS: usize = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, VariantNames)]
#[strum(ascii_case_insensitive)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// One line of text, for people.
    Text,
}

impl LogFormat {
    pub(super) fn by_default() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

pub(super) fn number<T: FromStr + PartialOrd + Display>(
    range: RangeInclusive<T>,
) -> impl FnOnce(&str) -> Result<T, String> {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("is not a whole number from {} to {}", range.start(), range.end()))
    }
}

pub(super) fn seconds(range: RangeInclusive<u64>) -> impl FnOnce(&str) -> Result<Duration, String> {
    |text| number(range)(text).map(Duration::from_secs)
}

/// Upper and lower case are the same.
pub(super) fn one_of<T: FromStr + VariantNames>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("is not one of {}", T::VARIANTS.join(", ")))
}

/// A client identifier or client secret. RFC 6749, appendix A.1 and A.2, allows spaces too, but Postiz issues none:
/// anything else was pasted along with it, such as a line break, a typographic quote or a zero-width space.
pub(super) fn visible_ascii(text: &str) -> Result<String, String> {
    if text.chars().all(|c| c.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("holds a space, a line break or another character that is not visible ASCII".to_owned())
    }
}

/// A bare port is one of this machine's own, because metrics are not for everyone.
pub(super) fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    let local = text.parse().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let address = local.or_else(|_| text.parse());
    address.map_err(|_| "is neither a port nor IP-ADDRESS:PORT".to_owned())
}

/// Separated by commas; a single address is a network of one.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let networks = items.map(|item| item.parse().or_else(|_| item.parse::<IpAddr>().map(IpNet::from)));
    networks.collect::<Result<_, _>>().map_err(|_| "is not a list of networks and addresses".to_owned())
}

pub(super) fn operator_name(text: &str) -> Result<String, String> {
    if text.chars().count() <= OPERATOR_NAME_CHARS && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!("is not one line of at most {OPERATOR_NAME_CHARS} characters"))
    }
}

pub(super) fn operator_url(text: &str) -> Result<Url, String> {
    let is_link = |url: &Url| match url.scheme() {
        "mailto" => url.path().contains('@'),
        "https" | "http" => url.username().is_empty() && url.password().is_none(),
        _ => false,
    };
    let url = Url::parse(text).ok().filter(is_link);
    url.ok_or_else(|| "is not a URL without a password that begins with https://, http:// or mailto:".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parse<'a> = &'a dyn Fn(&str) -> Result<String, String>;

    #[test]
    fn each_value_is_taken_or_refused() {
        let number = |text: &str| number::<u32>(1..=55)(text).map(|number| number.to_string());
        let metrics = |text: &str| metrics_address(text).map(|address| address.to_string());
        let networks = |text: &str| networks(text).map(|all| format!("{all:?}"));
        let url = |text: &str| operator_url(text).map(String::from);
        let long = "ü".repeat(61);
        for (parse, text, expected) in [
            (&number as Parse<'_>, "1", Some("1")),
            (&number, "55", Some("55")),
            (&number, "56", None),
            (&number, "-1", None),
            (&number, "4294967297", None),
            (&number, "20s", None),
            (&number, "1 # one", None),
            (&visible_ascii, "pcs_aB3-._~+/=", Some("pcs_aB3-._~+/=")),
            (&visible_ascii, "pcs_a b", None),
            (&visible_ascii, "pcs_a\nb", None),
            (&visible_ascii, "\u{201c}pcs_a\u{201d}", None),
            (&visible_ascii, "pcs_a\u{200b}", None),
            (&metrics, "9464", Some("127.0.0.1:9464")),
            (&metrics, "[::]:1", Some("[::]:1")),
            (&metrics, "127.0.0.1", None),
            (&metrics, ":9464", None),
            (&metrics, "localhost:9464", None),
            (&networks, "10.0.0.0/8, fd00::/8,192.0.2.7 ,", Some("[10.0.0.0/8, fd00::/8, 192.0.2.7/32]")),
            (&networks, "10.0.0.0/33", None),
            (&networks, "proxy.example.com", None),
            (&networks, "10.0.0.1:80", None),
            (&operator_name, &long[2..], Some(&long[2..])),
            (&operator_name, &long, None),
            (&operator_name, "a\nb", None),
            (&url, "https://example.com/contact?a=b#c", Some("https://example.com/contact?a=b#c")),
            (&url, "mailto:me@example.com?subject=login", Some("mailto:me@example.com?subject=login")),
            (&url, "mailto:me", None),
            (&url, "me@example.com", None),
            (&url, "javascript:alert(1)", None),
            (&url, "https://me:pw@example.com", None),
        ] {
            assert_eq!(parse(text).ok().as_deref(), expected, "{text:?}");
        }
    }
}
