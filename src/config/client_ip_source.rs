//! `CLIENT_IP_SOURCE`.

/// Where the client's address is taken from. Names are read in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumString, strum::Display)]
#[strum(ascii_case_insensitive)]
pub enum ClientIpSource {
    /// The platform's own header on a known platform; elsewhere `X-Forwarded-For`, as far as its proxies are trusted.
    #[default]
    Auto,
    /// The peer of the TCP connection; no header is trusted.
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
