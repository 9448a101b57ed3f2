//! PostgreSQL with an X.509 version 1 certificate, as `openssl x509 -req` makes it from PostgreSQL's manual.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use data_encoding::BASE64;
use rcgen::{CertificateParams, DnType, KeyPair, SigningKey as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use stand_in::Postgres;
use tokio_rustls::TlsAcceptor;
use x509_cert::certificate::{Certificate, Version};
use x509_cert::der::asn1::BitString;
use x509_cert::der::{Decode as _, Encode as _};

use crate::encryption::{FalseServer, PUBLIC, connects, issuer, postgres, reaches, root};
use crate::support::{connect, eventually};

/// A version 1 certificate for `key`, with this subject. The issuer's certificate and key may be its own.
pub struct V1(Vec<u8>);

impl V1 {
    fn params(subject: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, subject);
        params
    }

    fn self_signed(key: &KeyPair) -> Self {
        Self::of(Self::params("localhost").self_signed(key).unwrap().der(), key)
    }

    pub fn signed_by(key: &KeyPair, issuer: &rcgen::CertifiedIssuer<'static, KeyPair>) -> Self {
        Self::of(Self::params("localhost").signed_by(key, issuer).unwrap().der(), issuer.key())
    }

    fn expired(key: &KeyPair, issuer: &rcgen::CertifiedIssuer<'static, KeyPair>) -> Self {
        let mut params = Self::params("localhost");
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
        Self::of(params.signed_by(key, issuer).unwrap().der(), issuer.key())
    }

    /// The same certificate in version 1: without extensions, and signed again.
    fn of(version_3: &[u8], issuer: &KeyPair) -> Self {
        let mut certificate = Certificate::from_der(version_3).unwrap();
        certificate.tbs_certificate.version = Version::V1;
        certificate.tbs_certificate.extensions = None;
        let signature = issuer.sign(&certificate.tbs_certificate.to_der().unwrap()).unwrap();
        certificate.signature = BitString::from_bytes(&signature).unwrap();
        Self(certificate.to_der().unwrap())
    }

    pub fn pem(&self) -> String {
        let lines: Vec<String> = self.0.chunks(48).map(|line| BASE64.encode(line)).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }
}

pub fn directory() -> PathBuf {
    let directory = std::env::temp_dir().join(format!("roots-{:016x}", rand::random::<u64>()));
    std::fs::create_dir(&directory).unwrap();
    directory
}

/// From now on it speaks this version of TLS at most.
async fn tls_at_most(postgres: &Postgres, version: &str) {
    let admin = connect(&postgres.url("postgres")).await;
    admin.simple_query(&format!("ALTER SYSTEM SET ssl_max_protocol_version = '{version}'")).await.unwrap();
    admin.simple_query("SELECT pg_reload_conf()").await.unwrap();
    let set = async || {
        let shown = admin.query_typed("SHOW ssl_max_protocol_version", &[]).await.unwrap();
        shown[0].get::<_, String>(0) == version
    };
    eventually("the TLS version in PostgreSQL", set).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_1_certificate_is_accepted_where_libpq_does_by_its_signature() {
    let (ours, other, directory) = (issuer("ours"), issuer("other"), directory());
    let key = KeyPair::generate().unwrap();
    let postgres = postgres(&V1::signed_by(&key, &ours).pem(), &key.serialize_pem()).await;
    let (good, unknown) = (root(&directory, "good.pem", &ours.pem()), root(&directory, "other.pem", &other.pem()));
    // The same name as the authority's, and another key.
    let same_name = root(&directory, "same-name.pem", &issuer("ours").pem());
    for version in ["TLSv1.3", "TLSv1.2"] {
        tls_at_most(&postgres, version).await;
        for (host, query, reached) in [
            ("localhost", "sslmode=prefer".to_owned(), true),
            ("localhost", "sslmode=require".to_owned(), true),
            ("localhost", "sslmode=require&channel_binding=require".to_owned(), true),
            (PUBLIC, String::new(), true),
            ("localhost", format!("sslmode=verify-ca&sslrootcert={good}"), true),
            ("127.0.0.1", format!("sslmode=verify-ca&channel_binding=require&sslrootcert={good}"), true),
            ("localhost", format!("sslmode=verify-ca&sslrootcert={unknown}"), false),
            ("localhost", format!("sslmode=verify-ca&sslrootcert={same_name}"), false),
            // It names no host in a way that counts.
            ("localhost", format!("sslmode=verify-full&sslrootcert={good}"), false),
        ] {
            assert_eq!(reaches(&postgres, host, &query).await, reached, "{version} {host} {query}");
        }
    }
    std::fs::remove_dir_all(directory).unwrap();
}

/// As Citus makes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_self_signed_version_1_certificate_is_its_own_root() {
    let (key, directory) = (KeyPair::generate().unwrap(), directory());
    let certificate = V1::self_signed(&key);
    let postgres = postgres(&certificate.pem(), &key.serialize_pem()).await;
    let itself = root(&directory, "self.pem", &certificate.pem());
    // Its names and its key are the same, but it is another certificate.
    let other = root(&directory, "other.pem", &V1::self_signed(&KeyPair::generate().unwrap()).pem());
    for (query, reached) in [
        ("sslmode=require".to_owned(), true),
        (format!("sslmode=verify-ca&sslrootcert={itself}"), true),
        (format!("sslmode=verify-ca&sslrootcert={other}"), false),
        (format!("sslmode=verify-full&sslrootcert={itself}"), false),
    ] {
        assert_eq!(reaches(&postgres, "localhost", &query).await, reached, "{query}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_version_1_certificate_is_refused_if_it_is_verified() {
    let (ours, directory) = (issuer("ours"), directory());
    let key = KeyPair::generate().unwrap();
    let postgres = postgres(&V1::expired(&key, &ours).pem(), &key.serialize_pem()).await;
    let good = root(&directory, "good.pem", &ours.pem());
    assert!(!reaches(&postgres, "localhost", &format!("sslmode=verify-ca&sslrootcert={good}")).await);
    assert!(reaches(&postgres, "localhost", "sslmode=require").await);
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_1_client_certificate_is_shown_to_the_server() {
    let (ours, directory) = (issuer("ours"), directory());
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let postgres = postgres(&V1::signed_by(&key, &ours).pem(), &key.serialize_pem()).await;
    let admin = connect(&postgres.url("postgres")).await;
    let ca = postgres.data_dir().join("ca.crt");
    std::fs::write(&ca, ours.pem()).unwrap();
    std::fs::set_permissions(&ca, Permissions::from_mode(0o644)).unwrap();
    std::fs::write(
        postgres.data_dir().join("pg_hba.conf"),
        "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\nhostnossl all all 127.0.0.1/32 scram-sha-256\n",
    )
    .unwrap();
    admin.simple_query("ALTER SYSTEM SET ssl_ca_file = 'ca.crt'").await.unwrap();
    admin.simple_query("SELECT pg_reload_conf()").await.unwrap();
    let set = async || {
        let rules = "SELECT FROM pg_hba_file_rules WHERE options <> '{}' AND current_setting('ssl_ca_file') = 'ca.crt'";
        !admin.query_typed(rules, &[]).await.unwrap().is_empty()
    };
    eventually("client certificates in PostgreSQL", set).await;
    let certificate = root(&directory, "client.pem", &V1::signed_by(&key, &ours).pem());
    let (right, wrong) =
        (root(&directory, "key.pem", &key.serialize_pem()), root(&directory, "o.pem", &other.serialize_pem()));
    for (query, reached) in [
        (String::new(), false),
        (format!("&sslcert={certificate}&sslkey={right}"), true),
        (format!("&sslcert={certificate}&sslkey={wrong}"), false),
    ] {
        assert_eq!(reaches(&postgres, "127.0.0.1", &format!("sslmode=require{query}")).await, reached, "{query}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}

/// A TLS server with this certificate that signs with another key.
fn impostor(certificate: &V1, version: &'static rustls::SupportedProtocolVersion) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(KeyPair::generate().unwrap().serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = provider.key_provider.load_private_key(key).unwrap();
    let pair = CertifiedKey::new(vec![CertificateDer::from(certificate.0.clone())], key);
    let resolver: Arc<dyn ResolvesServerCert> = Arc::new(SingleCertAndKey::from(pair));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_key_of_its_version_1_certificate_is_refused_in_every_mode() {
    let (ours, directory) = (issuer("ours"), directory());
    let good = root(&directory, "good.pem", &ours.pem());
    let certificate = V1::signed_by(&KeyPair::generate().unwrap(), &ours);
    for version in [&TLS12, &TLS13] {
        let server = FalseServer::start(Some(impostor(&certificate, version))).await;
        for mode in ["prefer", "require", &format!("verify-ca&sslrootcert={good}")] {
            let url = format!("postgres://auth:hunter2@localhost:{}/auth?sslmode={mode}", server.port);
            assert!(!connects(&url).await, "{version:?} {mode}");
            assert!(server.received().is_empty(), "{version:?} {mode}: the handshake ended before the first message");
        }
    }
    std::fs::remove_dir_all(directory).unwrap();
}
