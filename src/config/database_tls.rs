//! TLS to the database: libpq's `sslmode` and the files that go with it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// libpq's `sslmode`, weakest first. Read in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::EnumString, strum::Display)]
#[strum(serialize_all = "kebab-case", ascii_case_insensitive)]
pub enum SslMode {
    #[strum(to_string = "disable", serialize = "false", serialize = "0")]
    Disable,
    /// TLS if the server has it, with any certificate. `allow` too: the driver has no mode that tries without TLS first.
    #[strum(to_string = "prefer", serialize = "allow")]
    Prefer,
    /// TLS, with any certificate. node-postgres writes `no-verify` for this.
    #[strum(to_string = "require", serialize = "no-verify", serialize = "true", serialize = "1")]
    Require,
    /// TLS with a certificate that a known authority signed.
    VerifyCa,
    /// The same, and the certificate is the host's.
    VerifyFull,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Never weaker than libpq would have it. `None`: the URL has no `sslmode`, and the address decides.
    pub mode: Option<SslMode>,
    /// The certificates in this PEM file, and no others, are accepted as authorities. `None`: those that the system and
    /// browsers trust.
    pub root_cert: Option<PathBuf>,
}

impl Tls {
    /// Takes its parameters out of the query. The error completes the sentence "`DATABASE_URL` ...".
    pub(super) fn take(query: &mut BTreeMap<&str, &str>) -> Result<Self, String> {
        let mut take = |name| Some(percent_decode_str(query.remove(name)?).decode_utf8_lossy());
        // JDBC and node-postgres write ssl=true.
        let (ssl, sslmode) = (take("ssl"), take("sslmode"));
        let asked = sslmode.or(ssl).map(|mode| mode.parse()).transpose().map_err(|_| {
            "has an unknown sslmode: write disable, allow, prefer, require, verify-ca or verify-full".to_owned()
        })?;
        let root_cert = take("sslrootcert");
        // Anyone can get a certificate that the system trusts, so those are compared with the host's name. A file's are
        // verified without `sslmode` too: libpq does so in every mode, and then goes on without TLS.
        let mode = match (asked, root_cert.as_deref()) {
            (_, Some("system")) | (Some(SslMode::VerifyCa), None) => Some(SslMode::VerifyFull),
            (Some(SslMode::Require) | None, Some(_)) => Some(SslMode::VerifyCa),
            (asked, _) => asked,
        };
        let root_cert = root_cert.filter(|file| file != "system");
        Ok(Self { mode, root_cert: root_cert.map(|file| file.into_owned().into()) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::DatabaseUrl;
    use super::*;

    #[test]
    fn sslmode_means_the_same_as_in_libpq() {
        use SslMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};
        for (query, mode, root_cert) in [
            ("", None, None),
            ("sslmode=disable", Some(Disable), None),
            ("sslmode=allow", Some(Prefer), None),
            ("sslmode=PREFER", Some(Prefer), None),
            ("sslmode=require", Some(Require), None),
            ("sslmode=No-Verify", Some(Require), None),
            ("ssl=true", Some(Require), None),
            ("ssl=false", Some(Disable), None),
            ("ssl=true&sslmode=verify-full", Some(VerifyFull), None),
            ("sslmode=require&sslrootcert=c%20a.pem", Some(VerifyCa), Some("c a.pem")),
            ("sslrootcert=ca.pem", Some(VerifyCa), Some("ca.pem")),
            ("sslmode=prefer&sslrootcert=ca.pem", Some(Prefer), Some("ca.pem")),
            ("sslmode=verify-ca&sslrootcert=ca.pem", Some(VerifyCa), Some("ca.pem")),
            ("sslmode=verify-ca", Some(VerifyFull), None),
            ("sslmode=verify-full&sslrootcert=ca.pem", Some(VerifyFull), Some("ca.pem")),
            ("sslrootcert=system", Some(VerifyFull), None),
        ] {
            let tls = DatabaseUrl::parse(&format!("postgres://auth@db/auth?{query}")).unwrap().tls;
            assert_eq!((tls.mode, tls.root_cert), (mode, root_cert.map(PathBuf::from)), "{query}");
        }
    }
}
