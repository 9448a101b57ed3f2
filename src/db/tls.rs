//! TLS to PostgreSQL, with the meaning that libpq gives to `sslmode`.
//!
//! `require` and weaker modes encrypt and accept any certificate. They still verify the handshake's signature if the
//! certificate can be read here: without it, channel binding would prove nothing. `verify-ca` requires a certificate from
//! an authority in `sslrootcert`, or one that `sslrootcert` holds itself. `verify-full` also requires the name in the URL.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres::config::ChannelBinding;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{DatabaseUrl, SslMode};
use crate::outbound::public_roots;

/// The TLS settings in `DATABASE_URL` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("DATABASE_URL names {path}, which can't be read as PEM")]
    File { path: PathBuf, source: PemError },
    #[error(transparent)]
    Library(#[from] Error),
}

/// Used for each connection. Whether it has TLS at all, the connection's own `ssl_mode` says.
pub(super) fn connector(database: &DatabaseUrl) -> Result<MakeRustlsConnect, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let mut verifier = LibpqVerifier {
        mode: database.tls.mode,
        roots: public_roots(),
        in_file: Vec::new(),
        binds_channel: database.config.get_channel_binding() == ChannelBinding::Require,
        algorithms: provider.signature_verification_algorithms,
    };
    if let Some(path) = &database.tls.root_cert {
        let mut roots = RootCertStore::empty();
        let in_file = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        verifier.in_file = in_file.map_err(|source| TlsError::File { path: path.clone(), source })?;
        roots.add_parsable_certificates(verifier.in_file.iter().cloned());
        verifier.roots = Arc::new(roots);
    }
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[derive(Debug)]
struct LibpqVerifier {
    mode: Option<SslMode>,
    roots: Arc<RootCertStore>,
    /// The certificates in `sslrootcert`.
    in_file: Vec<CertificateDer<'static>>,
    /// `channel_binding=require`.
    binds_channel: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl LibpqVerifier {
    fn accepts_any(&self) -> bool {
        self.mode < Some(SslMode::VerifyCa)
    }

    /// Of X.509 version 1, for example, or with a critical extension that is unknown here.
    fn accepts_unread(&self, certificate: &CertificateDer<'_>) -> bool {
        self.accepts_any() && !self.binds_channel && ParsedCertificate::try_from(certificate).is_err()
    }
}

impl ServerCertVerifier for LibpqVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.accepts_any() {
            return Ok(ServerCertVerified::assertion());
        }
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.algorithms.all;
        match verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms) {
            // `openssl req -x509` marks its certificate as an authority's, which webpki refuses for a server. It has looked at
            // the dates before that.
            Err(Error::InvalidCertificate(CertificateError::Other(_))) if self.in_file.contains(certificate) => {}
            verified => verified?,
        }
        if self.mode == Some(SslMode::VerifyFull) {
            verify_server_name(&parsed, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.accepts_unread(certificate) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.accepts_unread(certificate) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
