//! The two fields of a certificate that webpki does not give: its key, whatever its version and extensions are, and the common
//! name of its subject. Reads DER (X.690), and verifies nothing.

use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

const VERSION: u8 = 0xa0;
/// 2.5.4.3, with its tag and length.
const COMMON_NAME: &[u8] = &[6, 3, 85, 4, 3];

/// The key, as rustls takes it.
pub(super) fn public_key<'a>(certificate: &'a CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'a>> {
    let key = fields(certificate)?.nth(5)?;
    Some(SubjectPublicKeyInfoDer::from(key.whole))
}

/// The subject's last common name, as in libpq.
pub(super) fn common_name<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a str> {
    let subject = fields(certificate)?.nth(4)?;
    let attributes = subject.values().flat_map(|set| set.values());
    let names = attributes.filter_map(|attribute| attribute.content.strip_prefix(COMMON_NAME));
    std::str::from_utf8(Value::first(names.last()?)?.content).ok()
}

/// The serial number, the signature's algorithm, the issuer, the dates, the subject, the key and what follows.
fn fields<'a>(certificate: &'a CertificateDer<'_>) -> Option<impl Iterator<Item = Value<'a>>> {
    let signed = Value::first(certificate)?.values().next()?;
    Some(signed.values().filter(|field| field.whole[0] != VERSION))
}

/// A value with its tag and length, and without them.
struct Value<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

impl<'a> Value<'a> {
    fn first(der: &'a [u8]) -> Option<Self> {
        let (&[_, short], rest) = der.split_first_chunk()?;
        let (length, rest) = if short < 0x80 {
            (usize::from(short), rest)
        } else {
            let (length, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            let add = |sum: usize, byte: &u8| sum.checked_mul(256)?.checked_add(usize::from(*byte));
            (length.iter().try_fold(0, add)?, rest)
        };
        let content = rest.get(..length)?;
        Some(Self { whole: &der[..der.len() - rest.len() + length], content })
    }

    /// The values in it.
    fn values(&self) -> impl Iterator<Item = Self> + use<'a> {
        let mut rest = self.content;
        std::iter::from_fn(move || {
            let value = Self::first(rest)?;
            rest = &rest[value.whole.len()..];
            Some(value)
        })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData as _};

    use super::*;

    fn certificate(key: &KeyPair, names: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        for name in names {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        params.self_signed(key).unwrap().der().clone()
    }

    #[test]
    fn the_key_and_the_name_are_found() {
        let key = KeyPair::generate().unwrap();
        let certificate = certificate(&key, &["db.example.com"]);
        assert_eq!(public_key(&certificate).unwrap().as_ref(), key.subject_public_key_info());
        assert_eq!(common_name(&certificate), Some("db.example.com"));
    }

    #[test]
    fn a_certificate_without_a_name_has_none() {
        assert_eq!(common_name(&certificate(&KeyPair::generate().unwrap(), &[])), None);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let whole = certificate(&KeyPair::generate().unwrap(), &["db"]);
        for cut in 0..whole.len() {
            for byte in [0, 1, 0x7f, 0x80, 0x84, 0xff] {
                let mut bytes = whole[..cut].to_vec();
                bytes.push(byte);
                let certificate = CertificateDer::from(bytes);
                let _ = (public_key(&certificate).is_some(), common_name(&certificate).is_some());
            }
        }
    }
}
