//! Small types that a variable's text is parsed into; each error completes the sentence "NAME ...".

use std::io::IsTerminal;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A whole number from `MIN` to `MAX`, both included.
pub(super) struct Within<const MIN: u32, const MAX: u32>(pub(super) u32);

impl<const MIN: u32, const MAX: u32> FromStr for Within<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Parsed wide, so that a large number is called too large and not "no number".
        match text.parse::<i128>() {
            Err(_) => Err("is not a whole number".to_owned()),
            Ok(number) => u32::try_from(number)
                .ok()
                .filter(|number| (MIN..=MAX).contains(number))
                .map(Self)
                .ok_or_else(|| format!("is not between {MIN} and {MAX}")),
        }
    }
}

/// A client identifier or client secret: visible ASCII (RFC 6749, appendix A.1 and A.2, allows spaces too, but Postiz
/// gives out none). Anything else was pasted along with it: a line break, a typographic quote, a zero-width space.
pub(super) struct Visible(pub(super) String);

impl FromStr for Visible {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().all(|c| c.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("holds a space, a line break or another character that is not visible ASCII")
        }
    }
}

/// Networks, separated by commas; an address alone is a network of one.
pub(super) struct Networks(pub(super) Vec<IpNet>);

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| {
                item.parse()
                    .or_else(|_| item.parse::<IpAddr>().map(IpNet::from))
                    .map_err(|_| format!("holds {item:?}, which is neither a network nor an address"))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// One line of text, for people.
    Text,
}

impl LogFormat {
    /// Text for a person at a terminal, JSON for whatever else collects standard error.
    pub(super) fn of_stderr() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("is not a log format"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_outside_its_bounds_is_told_apart_from_no_number() {
        let read = |text: &str| text.parse::<Within<1, 55>>().map(|within| within.0);
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
    fn what_was_pasted_along_with_a_secret_is_refused() {
        assert!("pcs_aB3-._~+/=".parse::<Visible>().is_ok());
        for text in ["pcs_a b", "pcs_a\nb", "\u{201c}pcs_a\u{201d}", "pcs_a\u{200b}"] {
            assert!(text.parse::<Visible>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn proxies_are_networks_or_addresses() {
        let read = |text: &str| text.parse::<Networks>().map(|networks| networks.0);
        let expected = ["10.0.0.0/8", "fd00::/8", "192.0.2.7/32", "2001:db8::1/128"];
        let expected: Vec<IpNet> = expected.map(|net| net.parse().unwrap()).into();
        assert_eq!(read("10.0.0.0/8, fd00::/8,192.0.2.7 ,2001:db8::1,"), Ok(expected));
        for text in ["10.0.0.0/33", "proxy.example.com", "10.0.0.1:80"] {
            assert!(read(text).unwrap_err().contains(text));
        }
    }
}
