//! Codes, ids and networks: the two codes of RFC 8628, the ids of grants and clients, and a client's networks, for limits.
//!
//! The *device code* is the secret between the terminal and us. Only its digest, the [`GrantId`], is ever stored. The *user code*
//! is short because a person compares or types it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use rand::RngExt as _;

use crate::secret::{Digest, LENGTH, Secret};

/// Longer than any client's name, and short enough for a column.
const MAX_CLIENT_ID: usize = 255;
/// A longer name would hide the rest of the page.
const MAX_CLIENT_NAME: usize = 40;

/// The secret that the terminal polls with (RFC 8628 §3.2): 32 random bytes, 64 hex digits.
#[derive(Clone, Debug)]
pub struct DeviceCode(Secret);

impl DeviceCode {
    pub fn random() -> Self {
        Self(Secret::random())
    }

    /// The id of the grant that this code opens.
    pub fn grant_id(&self) -> GrantId {
        GrantId(self.0.digest())
    }

    /// The bytes that the sealing key pair is derived from.
    pub(super) fn key_material(&self) -> &[u8; LENGTH] {
        self.0.expose()
    }

    /// The 64 lower-case hex digits, for the terminal alone.
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(self.0.expose())
    }
}

/// The text is no code or id of this kind; it was never issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not of the expected form")]
pub struct Malformed;

impl FromStr for DeviceCode {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        from_hex(text).map(Secret::from_bytes).map(Self)
    }
}

/// Exactly as many digits as there are bytes, in any case.
fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], Malformed> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| Malformed)?;
    bytes.try_into().map_err(|_| Malformed)
}

/// The SHA-256 of the device code: identifies a grant in this server.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrantId(Digest);

impl GrantId {
    pub fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(Digest::from_bytes(bytes))
    }

    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        self.0.as_bytes()
    }

    /// Eight hex digits that identify the login in logs, on pages and in errors. They open nothing.
    pub fn reference(&self) -> String {
        HEXLOWER.encode(&self.as_bytes()[..4])
    }

    /// The bytes of a reference; `None` for anything but eight hex digits in lower case. In capitals it may be a user code.
    pub fn parse_reference(text: &str) -> Option<[u8; 4]> {
        if text.bytes().any(|digit| digit.is_ascii_uppercase()) { None } else { from_hex(text).ok() }
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantId({})", self.reference())
    }
}

/// The code that a person compares or types (RFC 8628 §6.1): eight letters, shown `XXXX-XXXX`.
///
/// Twenty letters without vowels, so that no word appears: 34.5 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserCode([u8; UserCode::LETTERS]);

impl UserCode {
    /// Letters in a code, the dash not counted.
    pub const LETTERS: usize = 8;
    /// The letters that a code is drawn from.
    pub const ALPHABET: &'static [u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

    /// Draws a new one, each letter with the same probability.
    pub fn random() -> Self {
        let mut rng = rand::rng();
        Self([(); Self::LETTERS].map(|()| Self::ALPHABET[rng.random_range(..Self::ALPHABET.len())]))
    }

    /// The eight letters without the dash, as the database holds them.
    pub fn letters(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Reads what a person typed or pasted: any case, full-width letters, with or without dash, spaces or line end, or the whole
/// link. Digits that look like a letter of the alphabet are taken for it.
impl FromStr for UserCode {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        // U+30FC is the dash of a Japanese keyboard, and counts as a letter.
        let text = bare(text);
        let letters = text.chars().filter(|c| c.is_alphanumeric() && *c != '\u{30fc}').map(letter);
        let letters: Option<Vec<u8>> = letters.collect();
        letters.and_then(|letters| letters.try_into().ok()).map(Self).ok_or(Malformed)
    }
}

/// The code in a link, without what mail programs and chats encode once more (`%2D`, `%252D`, `=3D`).
fn bare(text: &str) -> String {
    let after = text.rsplit_once("code=").map_or(text, |(_, value)| value);
    let value = after.split(['&', '#']).next().unwrap_or_default();
    let once = percent_decode_str(value.strip_prefix("3D").unwrap_or(value)).decode_utf8_lossy();
    percent_decode_str(&once).decode_utf8_lossy().into_owned()
}

fn letter(typed: char) -> Option<u8> {
    // Full-width forms stand in the order of ASCII.
    let narrow = match typed {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(typed) - 0xfee0)?,
        other => other,
    };
    let meant = match narrow.to_ascii_uppercase() {
        '1' => 'L',
        '2' => 'Z',
        '5' => 'S',
        '6' => 'G',
        '8' => 'B',
        other => other,
    };
    let byte = u8::try_from(meant).ok()?;
    UserCode::ALPHABET.contains(&byte).then_some(byte)
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, tail) = self.letters().split_at(Self::LETTERS / 2);
        write!(f, "{head}-{tail}")
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(..)")
    }
}

/// What a client calls itself (RFC 6749 §2.2): one to 255 printable ASCII characters. It proves nothing: it is compared, and
/// shown as what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientId(String);

impl ClientId {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id if it can be shown to a person as a name: at most 40 letters, digits, spaces and `-_.`.
    pub fn name(&self) -> Option<&str> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'_' | b'.');
        let name = self.0.trim();
        (!name.is_empty() && name.len() <= MAX_CLIENT_NAME && name.bytes().all(is_plain)).then_some(name)
    }
}

impl FromStr for ClientId {
    type Err = Malformed;

    /// RFC 6749, appendix A.1.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let is_valid =
            (1..=MAX_CLIENT_ID).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if is_valid { Ok(Self(text.to_owned())) } else { Err(Malformed) }
    }
}

/// The client that Postiz registered for one grant (RFC 7591 §3.2.1). Not a secret: it travels in the authorization URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostizClientId(String);

impl PostizClientId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PostizClientId {
    type Err = Malformed;

    /// RFC 6749, appendix A.1, without the space.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let is_valid = (1..=MAX_CLIENT_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_valid { Ok(Self(text.to_owned())) } else { Err(Malformed) }
    }
}

/// A client that a request is counted for, and the network around it that one owner may control.
///
/// A household or a server has one IPv4 address or a /64. Providers hand out a /48 to any customer, and an organisation has a
/// /24. An unknown address is a network without a client: all clients without an address share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Networks {
    /// The IPv4 address itself, or the IPv6 /64.
    pub client: Option<IpNet>,
    /// The IPv4 /24, or the IPv6 /48.
    pub network: IpNet,
}

impl Networks {
    pub fn of(address: Option<IpAddr>) -> Self {
        let Some(address) = address.map(|address| address.to_canonical()) else {
            return Self { client: None, network: IpNet::default() };
        };
        let (client, network) = if address.is_ipv4() { (32, 24) } else { (64, 48) };
        Self { client: Some(around(address, client)), network: around(address, network) }
    }
}

fn around(address: IpAddr, length: u8) -> IpNet {
    IpNet::new(address, length).unwrap_or_else(|_| address.into()).trunc()
}

/// Whether two addresses belong to one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proximity {
    SameNetwork,
    OtherNetwork,
    /// One is IPv4 and the other IPv6, or one is not known. A household has both.
    CannotTell,
}

impl Proximity {
    pub fn of(one: Option<IpAddr>, other: Option<IpAddr>) -> Self {
        let (Some(one), Some(other)) = (one, other) else { return Self::CannotTell };
        let (one, other) = (one.to_canonical(), other.to_canonical());
        if Networks::of(Some(one)).client == Networks::of(Some(other)).client
            || (one.is_loopback() && other.is_loopback())
        {
            Self::SameNetwork
        } else if one.is_ipv4() == other.is_ipv4() {
            Self::OtherNetwork
        } else {
            Self::CannotTell
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_device_code_is_read_back_from_its_hex() {
        let code = DeviceCode::random();
        let text = code.to_hex();
        assert_eq!(text.len(), 64);
        let lower: DeviceCode = text.parse().expect("its own text");
        let upper: DeviceCode = text.to_uppercase().parse().expect("any case");
        assert_eq!(lower.grant_id(), code.grant_id());
        assert_eq!(upper.grant_id(), code.grant_id());
    }

    #[test]
    fn a_user_code_forgives_how_it_was_typed() {
        let code: UserCode = "BCDF-GHJK".parse().expect("the printed form");
        for typed in [
            "bcdf-ghjk",
            "BCDFGHJK",
            " bcdf ghjk\r\n",
            "bcdf–ghjk",
            "bcdf—ghjk",
            "b c d f g h j k",
            "8cdf_6hjk",
            "\u{feff}BCDF-GHJK",
            "BCDF\u{a0}GHJK",
            "ＢＣＤＦー６ｈｊｋ",
            "ｂｃｄｆ−ghjk",
            "https://auth.example.com/device/verify?code=BCDF-GHJK",
            "auth.example.com/device/verify?x=1&user_code=bcdf%2Dghjk&y=2#z",
            "BCDF%252DGHJK",
            "code=3DBCDF-GHJK",
        ] {
            assert_eq!(typed.parse(), Ok(code), "{typed:?}");
        }
        assert_eq!(code.to_string(), "BCDF-GHJK");
    }

    #[test]
    fn other_text_is_refused_as_a_user_code() {
        for typed in [
            "",
            "-",
            "BCDF",
            "BCDF-GHJ",
            "BCDF-GHJKL",
            "ABCD-EFGH",
            "BCDF-GHJ😀",
            "0000-0000",
            "%zz",
            "https://x/?code=",
        ] {
            assert_eq!(typed.parse::<UserCode>(), Err(Malformed), "{typed:?}");
        }
        assert!("B-".repeat(400).parse::<UserCode>().is_err());
    }

    #[test]
    fn every_letter_is_drawn() {
        let drawn: std::collections::HashSet<u8> = (0..200).flat_map(|_| UserCode::random().0).collect();
        assert_eq!(drawn.len(), UserCode::ALPHABET.len());
    }

    #[test]
    fn client_ids_are_printable_ascii() {
        for text in ["a", "my cli/1.0", &"x".repeat(255)] {
            assert_eq!(text.parse::<ClientId>().unwrap().as_str(), text);
        }
        for text in ["", "ü", "a\nb", &"x".repeat(256)] {
            assert!(text.parse::<ClientId>().is_err(), "{text:?}");
        }
        for text in ["pcd_0123456789abcdef", "!", &"x".repeat(255)] {
            assert_eq!(text.parse::<PostizClientId>().unwrap().as_str(), text);
        }
        for text in ["", "two words", "tab\t", "ü", &"x".repeat(256)] {
            assert!(text.parse::<PostizClientId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_plain_ids_are_shown_as_names() {
        let name = |text: &str| text.parse::<ClientId>().unwrap().name().map(str::to_owned);
        assert_eq!(name(" nightly-report "), Some("nightly-report".to_owned()));
        assert_eq!(name("My CLI 1.0_b"), Some("My CLI 1.0_b".to_owned()));
        for text in ["<b>", "a\"b", "https://evil.example", " ", &"x".repeat(41)] {
            assert_eq!(name(text), None, "{text:?}");
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_are_compared_as_people_have_them() {
        let compare = |one, other| Proximity::of(Some(address(one)), Some(address(other)));
        assert_eq!(compare("8.8.8.8", "::ffff:8.8.8.8"), Proximity::SameNetwork);
        assert_eq!(compare("8.8.8.8", "8.8.8.9"), Proximity::OtherNetwork);
        assert_eq!(compare("2001:db8:1:2::3", "2001:db8:1:2:ffff::1"), Proximity::SameNetwork);
        assert_eq!(compare("2001:db8:1:2::3", "2001:db8:1:3::3"), Proximity::OtherNetwork);
        assert_eq!(compare("8.8.8.8", "2001:db8::1"), Proximity::CannotTell);
        assert_eq!(compare("127.0.0.1", "::1"), Proximity::SameNetwork, "this machine");
        assert_eq!(Proximity::of(None, Some(address("8.8.8.8"))), Proximity::CannotTell);
    }

    #[test]
    fn an_origin_is_a_client_and_the_network_around_it() {
        let text = |text| {
            let networks = Networks::of(Some(address(text)));
            (networks.client.unwrap().to_string(), networks.network.to_string())
        };
        let pair = |client: &str, network: &str| (client.to_owned(), network.to_owned());
        assert_eq!(text("192.0.2.1"), pair("192.0.2.1/32", "192.0.2.0/24"));
        assert_eq!(text("::ffff:192.0.2.1"), pair("192.0.2.1/32", "192.0.2.0/24"));
        assert_eq!(text("2001:db8:1:203:4:5:6:7"), pair("2001:db8:1:203::/64", "2001:db8:1::/48"));
        let unknown = Networks::of(None);
        assert!(unknown.client.is_none() && unknown != Networks::of(Some(address("0.0.0.1"))));
    }

    proptest! {
        #[test]
        fn any_text_is_a_code_or_refused(text in ".{0,80}") {
            if let Ok(code) = text.parse::<UserCode>() {
                prop_assert_eq!(code.to_string().parse(), Ok(code));
            }
            let _ = text.parse::<DeviceCode>();
        }

        #[test]
        fn a_code_survives_its_own_text(_ in 0..64u8) {
            let code = UserCode::random();
            prop_assert_eq!(code.to_string().to_lowercase().parse(), Ok(code));
        }
    }
}
