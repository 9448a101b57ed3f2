//! Parsers for the text of a variable. Each error completes the sentence "NAME ..." and quotes nothing: whether the value may
//! be shown is decided elsewhere.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

/// Fits on one line at the bottom of a page.
const OPERATOR_NAME_CHARS: usize = 60;

pub(super) fn number<T: TryFrom<i128>>(range: RangeInclusive<i128>) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        // Parsed wide, so that a large number is out of range and not "not a number".
        let number: i128 = text.parse().map_err(|_| "is not a whole number")?;
        let allowed = range.contains(&number).then(|| T::try_from(number).ok()).flatten();
        allowed.ok_or_else(|| format!("is not between {} and {}", range.start(), range.end()))
    }
}

pub(super) fn seconds(range: RangeInclusive<i128>) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| number(range.clone())(text).map(Duration::from_secs)
}

pub(super) fn one_of<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "is not one of the allowed values".to_owned())
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

pub(super) fn operator_name(text: &str) -> Result<String, String> {
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err("holds a line break or another control character".to_owned());
    }
    if text.chars().count() > OPERATOR_NAME_CHARS {
        return Err(format!("is longer than {OPERATOR_NAME_CHARS} characters"));
    }
    Ok(text.to_owned())
}

pub(super) fn operator_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http" | "mailto"));
    let url = url.ok_or("is not a URL that begins with https://, http:// or mailto:")?;
    if url.scheme() == "mailto" && !url.path().contains('@') {
        return Err("holds no mail address after mailto:".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or a password".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_out_of_range_and_text_get_different_errors() {
        let read = number::<u32>(1..=55);
        assert_eq!((read("1"), read("55")), (Ok(1), Ok(55)));
        for text in ["0", "56", "-1", "4294967297"] {
            assert_eq!(read(text), Err("is not between 1 and 55".to_owned()), "{text}");
        }
        for text in ["", "1.5", "20s", "0x10", "1 # one"] {
            assert_eq!(read(text), Err("is not a whole number".to_owned()), "{text}");
        }
    }

    #[test]
    fn characters_pasted_along_with_a_secret_are_refused() {
        assert!(visible_ascii("pcs_aB3-._~+/=").is_ok());
        for text in ["pcs_a b", "pcs_a\nb", "\u{201c}pcs_a\u{201d}", "pcs_a\u{200b}"] {
            assert!(visible_ascii(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn metrics_have_an_address_and_a_bare_port_is_local() {
        for (text, address) in
            [("9464", "127.0.0.1:9464"), ("0", "127.0.0.1:0"), ("0.0.0.0:9464", "0.0.0.0:9464"), ("[::]:1", "[::]:1")]
        {
            assert_eq!(metrics_address(text).map(|address| address.to_string()), Ok(address.to_owned()));
        }
        for text in ["127.0.0.1", ":9464", "localhost:9464", "65536", "::1:9464"] {
            assert!(metrics_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_operator_has_a_name_of_one_line_and_an_address_that_a_page_can_link_to() {
        assert!(operator_name(&"ü".repeat(60)).is_ok());
        for name in [&"a".repeat(61), "a\nb", "a\u{7}", "a\u{2028}b"] {
            assert!(operator_name(name).is_err(), "{name:?}");
        }
        for url in ["https://example.com/contact?a=b#c", "http://nas.lan", "mailto:me@example.com?subject=login"] {
            assert_eq!(operator_url(url).unwrap().as_str().trim_end_matches('/'), url);
        }
        for url in ["example.com", "me@example.com", "mailto:me", "javascript:alert(1)", "https://me:pw@example.com"] {
            assert!(operator_url(url).is_err(), "{url}");
        }
    }
}
