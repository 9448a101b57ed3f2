//! Parsers for the text of a variable; each error completes the sentence "NAME ...".

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

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

pub(super) fn ip_address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "is not an IP address".to_owned())
}

/// Separated by commas; a single address is a network of one.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let networks = items.map(|item| {
        item.parse()
            .or_else(|_| item.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| format!("holds {item:?}, which is neither a network nor an address"))
    });
    networks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_out_of_range_and_text_get_different_errors() {
        let read = number::<u32>(1..=55);
        assert_eq!(read("1"), Ok(1));
        assert_eq!(read("55"), Ok(55));
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
    fn proxies_are_networks_or_addresses() {
        let expected = ["10.0.0.0/8", "fd00::/8", "192.0.2.7/32", "2001:db8::1/128"];
        let expected: Vec<IpNet> = expected.map(|net| net.parse().unwrap()).into();
        assert_eq!(networks("10.0.0.0/8, fd00::/8,192.0.2.7 ,2001:db8::1,"), Ok(expected));
        for text in ["10.0.0.0/33", "proxy.example.com", "10.0.0.1:80"] {
            assert!(networks(text).unwrap_err().contains(text));
        }
    }
}
