//! TLS to Postgres, with the meaning that libpq gives to `sslmode`.
//!
//! `allow`, `prefer` and `require` encrypt and accept any certificate. `verify-ca` requires one from a trusted authority,
//! `verify-full` also one for the name in the URL.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{RootCert, SslMode, Tls};
use crate::db::x509_v1::{CertificateV1, NamesNoHost};
use crate::tls_roots::public_roots;

/// The TLS settings in `DATABASE_URL` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("DATABASE_URL names {path}, which can't be read as PEM")]
    File { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("DATABASE_URL: the certificates can't be used")]
    Certificates(#[source] Error),
    #[error("DATABASE_URL: no certificate authority was found for sslmode=verify-ca or verify-full")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// The connector for these settings; `None` where TLS is off.
pub(super) fn connector(tls: &Tls) -> Result<Option<MakeRustlsConnect>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verification = match tls.mode {
        SslMode::Disable => return Ok(None),
        SslMode::Allow | SslMode::Prefer | SslMode::Require => Verification::Nothing,
        SslMode::VerifyCa => Verification::authority(tls.root_cert.as_ref(), false, &provider)?,
        SslMode::VerifyFull => Verification::authority(tls.root_cert.as_ref(), true, &provider)?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Certificates)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(LibpqVerifier { verification, provider: Arc::clone(&provider) }));
    let config = match &tls.client_cert {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
            client_auth(builder, &provider, chain, key).map_err(TlsError::Certificates)?
        }
    };
    Ok(Some(MakeRustlsConnect::new(config)))
}

/// A client certificate of X.509 version 1 can't be compared with its key here: PostgreSQL does it.
fn client_auth(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    provider: &CryptoProvider,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, Error> {
    if chain.first().and_then(CertificateV1::parse).is_none() {
        return builder.with_client_auth_cert(chain, key);
    }
    let key = provider.key_provider.load_private_key(key)?;
    Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)))))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(unreadable(path))
}

fn unreadable(path: &Path) -> impl FnOnce(rustls::pki_types::pem::Error) -> TlsError {
    let path = path.to_owned();
    |source| TlsError::File { path, source }
}

/// How a server's certificate is verified.
#[derive(Debug)]
enum Verification {
    Nothing,
    Authority { verifier: Arc<WebPkiServerVerifier>, roots: Vec<CertificateDer<'static>>, name: bool },
}

impl Verification {
    fn authority(source: Option<&RootCert>, name: bool, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let (store, roots) = match source {
            Some(RootCert::File(path)) => {
                let roots = certificates(path)?;
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(roots.iter().cloned());
                (Arc::new(store), roots)
            }
            Some(RootCert::System) | None => (public_roots(), Vec::new()),
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(store, Arc::clone(provider))
            .build()
            .map_err(TlsError::Verifier)?;
        Ok(Self::Authority { verifier, roots, name })
    }
}

#[derive(Debug)]
struct LibpqVerifier {
    verification: Verification,
    provider: Arc<CryptoProvider>,
}

impl LibpqVerifier {
    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

impl ServerCertVerifier for LibpqVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Verification::Authority { verifier, roots, name } = &self.verification else {
            return Ok(ServerCertVerified::assertion());
        };
        if let Some(certificate) = CertificateV1::parse(end_entity) {
            if *name {
                return Err(CertificateError::Other(OtherError(Arc::new(NamesNoHost))).into());
            }
            certificate.verify_authority(roots, now, self.algorithms())?;
            return Ok(ServerCertVerified::assertion());
        }
        match verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !name => Ok(ServerCertVerified::assertion()),
            // OpenSSL's default self-signed certificate is marked as an authority and used as the server's own. libpq
            // accepts it if it is the file that sslrootcert names.
            Err(Error::InvalidCertificate(CertificateError::Other(OtherError(_))))
                if !name && roots.iter().any(|root| root.as_ref() == end_entity.as_ref()) =>
            {
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    // Checked in every mode: without it, channel binding would prove nothing.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match CertificateV1::parse(cert) {
            Some(certificate) => certificate.verify_tls12_signature(message, dss, self.algorithms()),
            None => verify_tls12_signature(message, cert, dss, self.algorithms()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match CertificateV1::parse(cert) {
            Some(certificate) => certificate.verify_tls13_signature(message, dss, self.algorithms()),
            None => verify_tls13_signature(message, cert, dss, self.algorithms()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}
