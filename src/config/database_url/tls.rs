//! What TLS to the database has to prove: libpq's `sslmode` and the files that go with it.

use std::path::PathBuf;

use tokio_postgres::config;

use super::parameters::Parameters;

/// libpq's `sslmode`, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// As `Prefer`: tokio-postgres has no mode that tries without TLS first.
    Allow,
    /// TLS if the server has it, whatever its certificate.
    Prefer,
    /// TLS, whatever the certificate.
    Require,
    /// TLS with a certificate that a known authority signed.
    VerifyCa,
    /// The same, and the certificate is the host's.
    VerifyFull,
}

impl SslMode {
    fn read(text: &str) -> Result<Self, String> {
        Ok(match text {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            // node-postgres writes no-verify for what libpq calls require.
            "require" | "no-verify" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                return Err("has an unknown sslmode: write disable, allow, prefer, require, verify-ca or verify-full"
                    .to_owned());
            }
        })
    }

    /// The nearest that tokio-postgres knows; verifying is the TLS connector's part.
    pub(super) fn for_tokio_postgres(self) -> config::SslMode {
        match self {
            Self::Disable => config::SslMode::Disable,
            Self::Allow | Self::Prefer => config::SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => config::SslMode::Require,
        }
    }
}

/// Whose signature on the server's certificate counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootCert {
    /// The authorities that the system and browsers trust.
    System,
    /// The certificates in this PEM file, and no others.
    File(PathBuf),
}

/// TLS to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// How much the server has to prove. Never weaker than libpq would have it.
    pub mode: SslMode,
    /// Whose signature counts; always there where `mode` verifies.
    pub root_cert: Option<RootCert>,
    /// PEM files of our own certificate and its key.
    pub client_cert: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// Takes everything about TLS out of the parameters.
    pub(super) fn take(parameters: &mut Parameters, warnings: &mut Vec<String>) -> Result<Self, String> {
        let sslmode = parameters.take("sslmode").as_deref().map(SslMode::read).transpose()?;
        // JDBC's and node-postgres's word for sslmode=require; libpq takes it too.
        let ssl = parameters.take("ssl").filter(|ssl| matches!(ssl.as_str(), "true" | "1" | "on"));
        let asked = sslmode.or(ssl.map(|_| SslMode::Require));
        let root_cert = parameters.take("sslrootcert").map(|path| match path.as_str() {
            "system" => RootCert::System,
            _ => RootCert::File(path.into()),
        });
        let client_cert = match (parameters.take("sslcert"), parameters.take("sslkey")) {
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            _ => return Err("has one of sslcert and sslkey without the other".to_owned()),
        };

        let hosts = parameters.list("host");
        let sockets = hosts.iter().filter(|host| host.starts_with('/')).count();
        if sockets > 0 {
            // As in libpq, sslmode says nothing of a Unix socket: it has no wire.
            if sockets < hosts.len() && asked > Some(SslMode::Prefer) {
                return Err("mixes a Unix socket, which has no TLS, with hosts that must have it".to_owned());
            }
            return Ok(Self { mode: SslMode::Disable, root_cert: None, client_cert: None });
        }

        let mode = match (asked, &root_cert) {
            (Some(SslMode::Require), Some(RootCert::File(_))) => SslMode::VerifyCa,
            (None, Some(RootCert::System)) | (Some(SslMode::VerifyFull), _) => SslMode::VerifyFull,
            (Some(_), Some(RootCert::System)) => {
                return Err(
                    "has sslrootcert=system with a weak sslmode: anybody can have a certificate that the system \
                            trusts, so write sslmode=verify-full"
                        .to_owned(),
                );
            }
            (Some(SslMode::VerifyCa), None) => {
                warnings.push(
                    "DATABASE_URL: sslmode=verify-ca without sslrootcert is taken for verify-full, since anybody can have a \
                     certificate that the system trusts"
                        .to_owned(),
                );
                SslMode::VerifyFull
            }
            (asked, _) => asked.unwrap_or(SslMode::Prefer),
        };
        let bound = parameters.get("channel_binding") == Some("require");
        if mode == SslMode::Require && !bound {
            warnings.push(
                "DATABASE_URL: sslmode=require encrypts, but does not verify the server's certificate; verify-full does"
                    .to_owned(),
            );
        }
        if mode == SslMode::VerifyFull && hosts.is_empty() {
            return Err("has sslmode=verify-full and no host name to verify".to_owned());
        }
        let verifies = mode >= SslMode::VerifyCa;
        let root_cert = root_cert.or(verifies.then_some(RootCert::System));
        Ok(Self { mode, root_cert, client_cert })
    }
}
