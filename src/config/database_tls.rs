//! TLS to the database: libpq's `sslmode` and the files that go with it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio_postgres::config::{self, Config, Host};

/// libpq's `sslmode`, weakest first. Read in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::EnumString, strum::Display)]
#[strum(serialize_all = "kebab-case", ascii_case_insensitive)]
pub enum SslMode {
    #[strum(to_string = "disable", serialize = "false", serialize = "0")]
    Disable,
    /// As `Prefer`: tokio-postgres has no mode that tries without TLS first.
    Allow,
    /// TLS if the server has it, with any certificate.
    Prefer,
    /// TLS, with any certificate. node-postgres writes `no-verify` for this.
    #[strum(to_string = "require", serialize = "no-verify", serialize = "true", serialize = "1")]
    Require,
    /// TLS with a certificate that a known authority signed.
    VerifyCa,
    /// The same, and the certificate is the host's.
    VerifyFull,
}

/// Whose signature on the server's certificate is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootCert {
    /// The authorities that the system and browsers trust.
    System,
    /// The certificates in this PEM file, and no others.
    File(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Never weaker than libpq would have it. `None`: the URL has no `sslmode`, and the address decides.
    pub mode: Option<SslMode>,
    /// Always set if `mode` verifies.
    pub root_cert: Option<RootCert>,
    /// PEM files of our own certificate and its key.
    pub client_cert: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// Takes its parameters out of the query; `config` has the hosts. The error completes the sentence "`DATABASE_URL` ...".
    pub(super) fn take(
        query: &mut BTreeMap<String, String>,
        config: &Config,
        warnings: &mut Vec<String>,
    ) -> Result<Self, String> {
        // JDBC and node-postgres write ssl=true, asyncpg ssl=require.
        let ssl = query.remove("ssl");
        let asked = query.remove("sslmode").or(ssl).map(|mode| mode.parse()).transpose().map_err(|_| {
            "has an unknown sslmode: write disable, allow, prefer, require, verify-ca or verify-full".to_owned()
        })?;
        let root_cert = query.remove("sslrootcert").map(|path| match path.as_str() {
            "system" => RootCert::System,
            _ => RootCert::File(path.into()),
        });
        let client_cert = match (query.remove("sslcert"), query.remove("sslkey")) {
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            _ => return Err("has one of sslcert and sslkey without the other".to_owned()),
        };
        if !config.get_hosts().is_empty() && config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_))) {
            // As in libpq, sslmode does not apply to a Unix socket.
            return Ok(Self { mode: Some(SslMode::Disable), root_cert: None, client_cert: None });
        }
        if asked == Some(SslMode::VerifyCa) && root_cert.is_none() {
            warnings.push(
                "DATABASE_URL: sslmode=verify-ca without sslrootcert is read as verify-full, because anyone can get a \
                 certificate that the system trusts"
                    .to_owned(),
            );
        }
        let mode = effective(asked, root_cert.as_ref());
        let verifies = mode >= Some(SslMode::VerifyCa);
        Ok(Self { mode, root_cert: root_cert.or(verifies.then_some(RootCert::System)), client_cert })
    }

    /// The nearest that tokio-postgres knows; verifying is the TLS connector's part.
    pub(super) fn for_tokio_postgres(&self) -> config::SslMode {
        match self.mode {
            Some(SslMode::Disable) => config::SslMode::Disable,
            Some(SslMode::Allow | SslMode::Prefer) | None => config::SslMode::Prefer,
            Some(SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => config::SslMode::Require,
        }
    }
}

/// Anyone can get a certificate that the system trusts, so those are compared with the host's name. A file's are verified
/// without `sslmode` too: libpq does so in every mode, and then goes on without TLS.
fn effective(asked: Option<SslMode>, root_cert: Option<&RootCert>) -> Option<SslMode> {
    match (asked, root_cert) {
        (_, Some(RootCert::System)) | (Some(SslMode::VerifyCa), None) => Some(SslMode::VerifyFull),
        (Some(SslMode::Require) | None, Some(RootCert::File(_))) => Some(SslMode::VerifyCa),
        (asked, _) => asked,
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::SslMode as Wire;

    use super::super::DatabaseUrl;
    use super::*;

    #[test]
    fn sslmode_means_the_same_as_in_libpq() {
        use SslMode::{Allow, Disable, Prefer, Require, VerifyCa, VerifyFull};
        let file = Some(RootCert::File("ca.pem".into()));
        for (query, mode, root_cert, wire) in [
            ("", None, None, Wire::Prefer),
            ("sslmode=disable", Some(Disable), None, Wire::Disable),
            ("sslmode=allow", Some(Allow), None, Wire::Prefer),
            ("sslmode=PREFER", Some(Prefer), None, Wire::Prefer),
            ("sslmode=require", Some(Require), None, Wire::Require),
            ("sslmode=No-Verify", Some(Require), None, Wire::Require),
            ("ssl=true", Some(Require), None, Wire::Require),
            ("ssl=false", Some(Disable), None, Wire::Disable),
            ("ssl=true&sslmode=verify-full", Some(VerifyFull), Some(RootCert::System), Wire::Require),
            ("sslmode=require&sslrootcert=ca.pem", Some(VerifyCa), file.clone(), Wire::Require),
            ("sslrootcert=ca.pem", Some(VerifyCa), file.clone(), Wire::Require),
            ("sslmode=prefer&sslrootcert=ca.pem", Some(Prefer), file.clone(), Wire::Prefer),
            ("sslmode=verify-ca&sslrootcert=ca.pem", Some(VerifyCa), file.clone(), Wire::Require),
            ("sslmode=verify-ca", Some(VerifyFull), Some(RootCert::System), Wire::Require),
            ("sslmode=verify-full&sslrootcert=ca.pem", Some(VerifyFull), file, Wire::Require),
            ("sslmode=Verify-Full", Some(VerifyFull), Some(RootCert::System), Wire::Require),
            ("sslrootcert=system", Some(VerifyFull), Some(RootCert::System), Wire::Require),
            ("sslmode=require&host=/run/postgresql", Some(Disable), None, Wire::Disable),
        ] {
            let url = format!("postgres://auth@db/auth?{query}");
            let DatabaseUrl { config, tls, warnings, .. } = DatabaseUrl::parse(&url).unwrap();
            assert_eq!((tls.mode, tls.root_cert), (mode, root_cert), "{query}");
            assert_eq!(config.get_ssl_mode(), wire, "{query}");
            assert_eq!(warnings.len(), usize::from(query == "sslmode=verify-ca"), "{warnings:?}");
        }
        let tls = DatabaseUrl::parse("postgres://auth@db/auth?sslcert=c&sslkey=k").unwrap().tls;
        assert_eq!(tls.client_cert, Some(("c".into(), "k".into())));
    }
}
