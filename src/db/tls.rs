//! TLS to PostgreSQL, with the meaning that libpq gives to `sslmode`.
//!
//! `require` and weaker modes encrypt and accept any certificate. They still verify the handshake's signature if the
//! certificate's key can be read here: without it, channel binding would prove nothing. `verify-ca` requires a certificate from
//! an authority in `sslrootcert`, or one that `sslrootcert` holds itself. `verify-full` also requires the name in the URL.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use tokio_postgres::config::ChannelBinding;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{DatabaseUrl, RootCert, SslMode, Tls};
use crate::db::certificate::{common_name, public_key};
use crate::outbound::public_roots;

/// Offered, so that a server with such a key gets as far as its certificate: P-521, Ed448, and RSA keys for PSS alone.
const UNSUPPORTED: [SignatureScheme; 5] = [
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED448,
    SignatureScheme::Unknown(0x0809),
    SignatureScheme::Unknown(0x080a),
    SignatureScheme::Unknown(0x080b),
];

/// The TLS settings in `DATABASE_URL` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("DATABASE_URL names {path}, which can't be read as PEM")]
    File { path: PathBuf, source: PemError },
    #[error("DATABASE_URL: the certificates can't be used")]
    Certificates(#[source] Error),
    #[error("DATABASE_URL: no certificate authority was found for sslmode=verify-ca or verify-full")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// The signature of the handshake can't be verified.
#[derive(Debug, thiserror::Error)]
#[error("its key is of a kind that can't be verified here: RSA, P-256, P-384 and Ed25519 can")]
pub(super) struct UnsupportedKey;

/// Used for each connection. Whether it has TLS at all, the connection's own `ssl_mode` says.
pub(super) fn connector(database: &DatabaseUrl) -> Result<MakeRustlsConnect, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = LibpqVerifier {
        authority: Authority::of(&database.tls, &provider)?,
        binds_channel: database.config.get_channel_binding() == ChannelBinding::Require,
        algorithms: provider.signature_verification_algorithms,
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Certificates)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match &database.tls.client_cert {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
            let key = provider.key_provider.load_private_key(key).map_err(TlsError::Certificates)?;
            // PostgreSQL compares the two.
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))))
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(unreadable(path))
}

fn unreadable(path: &Path) -> impl FnOnce(PemError) -> TlsError {
    let path = path.to_owned();
    |source| TlsError::File { path, source }
}

/// Whose certificates are accepted.
#[derive(Debug)]
struct Authority {
    webpki: Arc<WebPkiServerVerifier>,
    /// The certificates in `sslrootcert`.
    roots: Vec<CertificateDer<'static>>,
    verifies_name: bool,
}

impl Authority {
    /// `None` if any certificate is accepted.
    fn of(tls: &Tls, provider: &Arc<CryptoProvider>) -> Result<Option<Self>, TlsError> {
        let verifies_name = match tls.mode {
            Some(SslMode::VerifyCa) => false,
            Some(SslMode::VerifyFull) => true,
            None | Some(SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require) => return Ok(None),
        };
        let (store, roots) = match &tls.root_cert {
            Some(RootCert::File(path)) => {
                let roots = certificates(path)?;
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(roots.iter().cloned());
                (Arc::new(store), roots)
            }
            Some(RootCert::System) | None => (public_roots(), Vec::new()),
        };
        let webpki = WebPkiServerVerifier::builder_with_provider(store, Arc::clone(provider)).build();
        Ok(Some(Self { webpki: webpki.map_err(TlsError::Verifier)?, roots, verifies_name }))
    }

    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        match self.webpki.verify_server_cert(certificate, intermediates, name, &[], now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => {}
            // `openssl req -x509` marks its certificate as an authority's, which webpki refuses for a server. It has looked at
            // the dates before that.
            Err(Error::InvalidCertificate(CertificateError::Other(_))) if self.roots.contains(certificate) => {}
            verified => return verified.map(drop),
        }
        if self.verifies_name { verify_name(certificate, name) } else { Ok(()) }
    }
}

/// As in libpq, the common name counts if the certificate names no host in `subjectAltName`.
fn verify_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let verified = ParsedCertificate::try_from(certificate).and_then(|parsed| verify_server_name(&parsed, name));
    match &verified {
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }))
            if presented.is_empty() && common_name(certificate).is_some_and(|found| matches(found, &name.to_str())) =>
        {
            Ok(())
        }
        _ => verified,
    }
}

/// Whether a common name, which may begin with `*.`, is that of the host.
fn matches(found: &str, host: &str) -> bool {
    let parent = || Some((found.strip_prefix("*.")?, host.split_once('.')?.1));
    found.eq_ignore_ascii_case(host) || parent().is_some_and(|(found, host)| found.eq_ignore_ascii_case(host))
}

#[derive(Debug)]
struct LibpqVerifier {
    authority: Option<Authority>,
    /// `channel_binding=require`.
    binds_channel: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl LibpqVerifier {
    fn can_verify(&self, signature: &DigitallySignedStruct) -> bool {
        self.algorithms.mapping.iter().any(|(scheme, _)| *scheme == signature.scheme)
    }

    /// What follows from a signature. `None` if it can't be verified.
    fn accept(
        &self,
        verified: Option<Result<HandshakeSignatureValid, Error>>,
    ) -> Result<HandshakeSignatureValid, Error> {
        let accepts_any = self.authority.is_none() && !self.binds_channel;
        let unsupported = || Err(CertificateError::Other(OtherError(Arc::new(UnsupportedKey))).into());
        let unverified = || if accepts_any { Ok(HandshakeSignatureValid::assertion()) } else { unsupported() };
        verified.unwrap_or_else(unverified)
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
        let authority = self.authority.as_ref();
        authority.map_or(Ok(()), |authority| authority.verify(certificate, intermediates, name, now))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let can_verify = self.can_verify(signature) && ParsedCertificate::try_from(certificate).is_ok();
        self.accept(can_verify.then(|| verify_tls12_signature(message, certificate, signature, &self.algorithms)))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = public_key(certificate).filter(|_| self.can_verify(signature));
        self.accept(key.map(|key| verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes().into_iter().chain(UNSUPPORTED).collect()
    }
}
