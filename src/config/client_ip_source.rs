//! Which part of a request says who the client is.

use std::fmt;
use std::str::FromStr;

/// Where the client's address is taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientIpSource {
    /// The platform's own header on a known platform; else X-Forwarded-For, but only as far as proxies are trusted.
    #[default]
    Auto,
    /// The peer of the TCP connection; no header is believed.
    Connection,
    /// The last address in `X-Forwarded-For`: the one that our own proxy wrote.
    RightmostXForwardedFor,
    /// `X-Real-IP`.
    XRealIp,
    /// `Fly-Client-IP`.
    FlyClientIp,
    /// `CF-Connecting-IP`.
    CfConnectingIp,
}

impl ClientIpSource {
    const NAMES: [(Self, &'static str); 6] = [
        (Self::Auto, "Auto"),
        (Self::Connection, "Connection"),
        (Self::RightmostXForwardedFor, "RightmostXForwardedFor"),
        (Self::XRealIp, "XRealIp"),
        (Self::FlyClientIp, "FlyClientIp"),
        (Self::CfConnectingIp, "CfConnectingIp"),
    ];
}

impl FromStr for ClientIpSource {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::NAMES
            .into_iter()
            .find_map(|(source, name)| name.eq_ignore_ascii_case(text).then_some(source))
            .ok_or("is not a source of client addresses")
    }
}

impl fmt::Display for ClientIpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_is_read_by_the_name_it_shows_whatever_the_case() {
        for (source, name) in ClientIpSource::NAMES {
            assert_eq!(source.to_string(), name);
            assert_eq!(name.to_uppercase().parse(), Ok(source));
            assert_eq!(name.to_lowercase().parse(), Ok(source));
        }
        assert!("X-Real-IP".parse::<ClientIpSource>().is_err());
    }
}
