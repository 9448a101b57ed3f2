//! TLS to the database: libpq's `sslmode` and the files that go with it.

use std::path::PathBuf;

use tokio_postgres::config;

use super::hosts::Hosts;
use super::query::Query;

/// libpq's `sslmode`, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::EnumString, strum::Display)]
#[strum(serialize_all = "kebab-case")]
pub enum SslMode {
    Disable,
    /// As `Prefer`: tokio-postgres has no mode that tries without TLS first.
    Allow,
    /// TLS if the server has it, with any certificate.
    Prefer,
    /// TLS, with any certificate. node-postgres writes `no-verify` for this.
    #[strum(to_string = "require", serialize = "no-verify")]
    Require,
    /// TLS with a certificate that a known authority signed.
    VerifyCa,
    /// The same, and the certificate is the host's.
    VerifyFull,
}

impl SslMode {
    /// The nearest that tokio-postgres knows; verifying is the TLS connector's part.
    pub(super) fn for_tokio_postgres(self) -> config::SslMode {
        match self {
            Self::Disable => config::SslMode::Disable,
            Self::Allow | Self::Prefer => config::SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => config::SslMode::Require,
        }
    }
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
    /// Never weaker than libpq would have it.
    pub mode: SslMode,
    /// Always set if `mode` verifies.
    pub root_cert: Option<RootCert>,
    /// PEM files of our own certificate and its key.
    pub client_cert: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    pub(super) fn take(query: &mut Query, hosts: &Hosts, warnings: &mut Vec<String>) -> Result<Self, String> {
        let sslmode = query.take("sslmode").map(|mode| mode.parse()).transpose().map_err(|_| {
            "has an unknown sslmode: write disable, allow, prefer, require, verify-ca or verify-full".to_owned()
        })?;
        // JDBC's and node-postgres's word for sslmode=require; libpq takes it too.
        let ssl = query.take("ssl").filter(|ssl| matches!(ssl.as_str(), "true" | "1" | "on"));
        let asked = sslmode.or(ssl.map(|_| SslMode::Require));
        let root_cert = query.take("sslrootcert").map(|path| match path.as_str() {
            "system" => RootCert::System,
            _ => RootCert::File(path.into()),
        });
        let client_cert = match (query.take("sslcert"), query.take("sslkey")) {
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            _ => return Err("has one of sslcert and sslkey without the other".to_owned()),
        };

        let sockets = hosts.sockets();
        if sockets > 0 {
            // As in libpq, sslmode does not apply to a Unix socket.
            if sockets < hosts.count() && asked > Some(SslMode::Prefer) {
                return Err("mixes a Unix socket, which has no TLS, with hosts that must have it".to_owned());
            }
            return Ok(Self { mode: SslMode::Disable, root_cert: None, client_cert: None });
        }

        let mode = mode(asked, root_cert.as_ref(), warnings)?;
        if mode < SslMode::Require && query.get("sslnegotiation") == Some("direct") {
            return Err("has sslnegotiation=direct with a weak sslmode: write sslmode=verify-full".to_owned());
        }
        if mode == SslMode::VerifyFull && !hosts.are_named() {
            return Err("has sslmode=verify-full and no host name to verify".to_owned());
        }
        let verifies = mode >= SslMode::VerifyCa;
        Ok(Self { mode, root_cert: root_cert.or(verifies.then_some(RootCert::System)), client_cert })
    }
}

/// As in libpq, `sslrootcert` can strengthen `sslmode`.
fn mode(asked: Option<SslMode>, root_cert: Option<&RootCert>, warnings: &mut Vec<String>) -> Result<SslMode, String> {
    Ok(match (asked, root_cert) {
        (Some(SslMode::Require), Some(RootCert::File(_))) => SslMode::VerifyCa,
        (None, Some(RootCert::System)) | (Some(SslMode::VerifyFull), _) => SslMode::VerifyFull,
        (Some(_), Some(RootCert::System)) => {
            return Err("has sslrootcert=system with a weak sslmode: anyone can get a certificate that the system \
                        trusts, so write sslmode=verify-full"
                .to_owned());
        }
        (Some(SslMode::VerifyCa), None) => {
            warnings.push(
                "DATABASE_URL: sslmode=verify-ca without sslrootcert is read as verify-full, because anyone can get a \
                 certificate that the system trusts"
                    .to_owned(),
            );
            SslMode::VerifyFull
        }
        (asked, _) => asked.unwrap_or(SslMode::Prefer),
    })
}
