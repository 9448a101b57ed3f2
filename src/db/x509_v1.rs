//! Certificates of X.509 version 1, which webpki does not read.
//!
//! `openssl x509 -req` makes them unless an option adds extensions, so PostgreSQL's manual and Citus do. They state no
//! subjectAltName and no purpose. libpq accepts them by their signature, and so does this.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error};
use x509_cert::certificate::{Certificate, Version};
use x509_cert::der::{Decode as _, Encode as _, EncodeValue as _};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// Its subject is not compared with the host: certificates have named hosts in the subjectAltName alone since RFC 6125.
#[derive(Debug, thiserror::Error)]
#[error("X.509 version 1, which can't name a host as sslmode=verify-full requires")]
pub(super) struct NamesNoHost;

pub(super) struct CertificateV1(Certificate);

impl CertificateV1 {
    /// `None` if it has another version, or can't be read: webpki judges it.
    pub(super) fn parse(der: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let signed = &certificate.tbs_certificate;
        (signed.version == Version::V1 && signed.extensions.is_none()).then_some(Self(certificate))
    }

    /// Requires the signature of a root, which may be the certificate itself, and a time within its dates.
    pub(super) fn verify_authority(
        &self,
        roots: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), CertificateError> {
        let mut roots = roots.iter().filter_map(|root| Certificate::from_der(root).ok());
        if !roots.any(|root| self.is_issued_by(&root, algorithms)) {
            return Err(CertificateError::UnknownIssuer);
        }
        let validity = &self.0.tbs_certificate.validity;
        if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
            return Err(CertificateError::NotValidYet);
        }
        if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
            return Err(CertificateError::Expired);
        }
        Ok(())
    }

    fn is_issued_by(&self, root: &Certificate, algorithms: &WebPkiSupportedAlgorithms) -> bool {
        let (signed, issuer) = (&self.0.tbs_certificate, &root.tbs_certificate);
        let (Ok(message), Some(signature)) = (signed.to_der(), self.0.signature.as_bytes()) else { return false };
        let algorithm = identifier(&self.0.signature_algorithm);
        let algorithms =
            algorithms.all.iter().filter(|it| Some(it.signature_alg_id().as_ref()) == algorithm.as_deref());
        signed.issuer == issuer.subject
            && signed.signature == self.0.signature_algorithm
            && is_signed(&issuer.subject_public_key_info, algorithms, &message, signature)
    }

    /// As [`rustls::crypto::verify_tls12_signature`].
    pub(super) fn verify_tls12_signature(
        &self,
        message: &[u8],
        dss: &DigitallySignedStruct,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<HandshakeSignatureValid, Error> {
        let of_scheme = algorithms.mapping.iter().filter(|(scheme, _)| *scheme == dss.scheme);
        let algorithms = of_scheme.flat_map(|(_, algorithms)| *algorithms);
        if is_signed(self.key(), algorithms, message, dss.signature()) {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }

    /// As [`rustls::crypto::verify_tls13_signature`].
    pub(super) fn verify_tls13_signature(
        &self,
        message: &[u8],
        dss: &DigitallySignedStruct,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = self.key().to_der().map_err(|_| CertificateError::BadEncoding)?;
        verify_tls13_signature_with_raw_key(message, &SubjectPublicKeyInfoDer::from(key), dss, algorithms)
    }

    fn key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.0.tbs_certificate.subject_public_key_info
    }
}

/// Whether `signature` is that of `message` by this key and one of the algorithms.
fn is_signed<'a>(
    key: &SubjectPublicKeyInfoOwned,
    mut algorithms: impl Iterator<Item = &'a &'static dyn SignatureVerificationAlgorithm>,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let (Some(of_key), Some(bytes)) = (identifier(&key.algorithm), key.subject_public_key.as_bytes()) else {
        return false;
    };
    algorithms
        .any(|it| it.public_key_alg_id().as_ref() == of_key && it.verify_signature(bytes, message, signature).is_ok())
}

/// As rustls writes it: without the tag and length of the sequence.
fn identifier(algorithm: &AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    let mut identifier = Vec::new();
    algorithm.encode_value(&mut identifier).ok()?;
    Some(identifier)
}
