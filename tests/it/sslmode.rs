//! Each kind of certificate, as `openssl` makes it: what libpq says of it, and what the server does.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use postiz_auth_server::db::{InspectError, inspect};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use stand_in::Postgres;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::encryption::{FalseServer, connects, postgres, reaches, write};
use crate::support::{cluster, config, connect};

/// Beside `openssl req -x509 -nodes -subj .. -newkey`.
const RSA: &str = "rsa:2048";
const SAN: &str = "-addext subjectAltName=DNS:localhost";

/// A directory for certificates, removed in the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("certificates-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(&self.0).output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// A self-signed certificate and its key.
    fn self_signed(&self, name: &str, key: &str, subject: &str, more: &str) {
        let more = if more.is_empty() { String::new() } else { format!(" {more}") };
        self.openssl(&format!(
            "req -x509 -nodes -days 30 -newkey {key} -subj {subject} -keyout {name}.key -out {name}.crt{more}"
        ));
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn url(postgres: &Postgres, host: &str, mode: &str, root: &Path) -> String {
    let mut url = Url::parse(&postgres.url("postgres")).unwrap();
    url.set_host(Some(host)).unwrap();
    let root = if mode.starts_with("verify") { format!("&sslrootcert={}", root.display()) } else { String::new() };
    // libpq finds no digest for the channel binding of Ed25519 and Ed448.
    url.set_query(Some(&format!("sslmode={mode}&channel_binding=disable{root}")));
    url.into()
}

/// Whether libpq accepts it.
fn psql(url: &str) -> bool {
    let mut psql = Command::new(cluster().bin_dir().join("psql"));
    psql.args(["-d", url, "-c", "SELECT 1"]).env("HOME", "/nonexistent").output().unwrap().status.success()
}

async fn ours(url: &str) -> Result<(), String> {
    match inspect(&config(url, &[]).database).await {
        Ok(found) if found.tls_version.is_some() => Ok(()),
        Ok(_) => Err("no TLS".to_owned()),
        Err(error @ InspectError::Certificate(_)) => Err(error.to_string()),
        Err(error) => panic!("{url}: {error}"),
    }
}

/// What is expected of libpq and of the server, in `require`, `verify-ca` and `verify-full`; where the server refuses what libpq
/// accepts, the words by which it says why.
#[derive(Clone, Copy)]
enum Expected {
    Accepted,
    Refused,
    RefusedHere(&'static str),
}

use Expected::{Accepted, Refused, RefusedHere};

/// A PostgreSQL with one certificate after the other.
struct Server {
    directory: Directory,
    postgres: Option<Postgres>,
}

impl Server {
    fn new() -> Self {
        Self { directory: Directory::new(), postgres: None }
    }

    async fn present(&mut self, name: &str) -> &Postgres {
        let (certificate, key) =
            (self.directory.read(&format!("{name}.crt")), self.directory.read(&format!("{name}.key")));
        if let Some(postgres) = &self.postgres {
            write(postgres, &certificate, &key);
            postgres.stop_fast().unwrap();
            postgres.start_again().unwrap();
        } else {
            self.postgres = Some(postgres(&certificate, &key).await);
        }
        self.postgres.as_ref().unwrap()
    }

    /// Presents this certificate; `sslrootcert` is `root`.
    async fn compare(&mut self, name: &str, root: &str, host: &str, expected: [Expected; 3]) {
        let root = self.directory.0.join(root);
        let postgres = self.present(name).await;
        for (mode, expected) in ["require", "verify-ca", "verify-full"].into_iter().zip(expected) {
            let url = url(postgres, host, mode, &root);
            let libpq = matches!(expected, Accepted | RefusedHere(_));
            assert_eq!(psql(&url), libpq, "libpq: {name} {host} {mode}");
            match (ours(&url).await, expected) {
                (Ok(()), Accepted) | (Err(_), Refused) => {}
                (Err(why), RefusedHere(words)) if why.contains(words) => {}
                (answer, _) => panic!("{name} {host} {mode}: {answer:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs openssl"]
async fn a_self_signed_certificate_that_sslrootcert_holds_is_accepted_for_its_host() {
    let mut server = Server::new();
    server.directory.self_signed("san", RSA, "/CN=db", SAN);
    server.directory.self_signed("leaf", RSA, "/CN=db", &format!("{SAN} -addext basicConstraints=critical,CA:FALSE"));
    // As in PostgreSQL's manual. Only names in `subjectAltName` count here.
    server.directory.self_signed("cn", RSA, "/CN=localhost", "");
    server.directory.self_signed("other-cn", RSA, "/CN=db", "");
    server.directory.self_signed("both", RSA, "/CN=localhost", "-addext subjectAltName=DNS:db");
    server.compare("san", "san.crt", "localhost", [Accepted, Accepted, Accepted]).await;
    server.compare("san", "san.crt", "127.0.0.1", [Accepted, Accepted, Refused]).await;
    // Another certificate with the same names.
    server.compare("san", "other-cn.crt", "localhost", [Accepted, Refused, Refused]).await;
    server.compare("leaf", "leaf.crt", "localhost", [Accepted, Accepted, Accepted]).await;
    server.compare("cn", "cn.crt", "localhost", [Accepted, Accepted, RefusedHere("subjectAltName")]).await;
    server.compare("other-cn", "other-cn.crt", "localhost", [Accepted, Accepted, Refused]).await;
    server.compare("both", "both.crt", "localhost", [Accepted, Accepted, Refused]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs openssl"]
async fn a_certificate_of_an_authority_is_accepted_for_its_host() {
    let mut server = Server::new();
    let directory = &server.directory;
    directory.self_signed("ca", RSA, "/CN=authority", "");
    for (name, subject, more) in
        [("named", "/CN=db", SAN), ("cn", "/CN=localhost", "-addext keyUsage=digitalSignature"), ("old", "/CN=x", SAN)]
    {
        directory
            .openssl(&format!("req -nodes -newkey {RSA} -subj {subject} -keyout {name}.key -out {name}.csr {more}"));
        let days = if name == "old" { "-days -1" } else { "-days 30" };
        directory.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -copy_extensions copy {days} -out {name}.crt"
        ));
    }
    server.compare("named", "ca.crt", "localhost", [Accepted, Accepted, Accepted]).await;
    server.compare("named", "ca.crt", "127.0.0.1", [Accepted, Accepted, Refused]).await;
    server.compare("cn", "ca.crt", "localhost", [Accepted, Accepted, RefusedHere("subjectAltName")]).await;
    server.compare("old", "ca.crt", "localhost", [Accepted, Refused, Refused]).await;
    // It is there itself, but nothing in the file has signed it.
    server.compare("named", "named.crt", "localhost", [Accepted, Refused, Refused]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs openssl"]
async fn what_webpki_can_not_read_is_accepted_if_nothing_is_verified() {
    let mut server = Server::new();
    server.directory.self_signed(
        "critical",
        RSA,
        "/CN=db",
        &format!("{SAN} -addext 1.2.3.4=critical,ASN1:UTF8String:x"),
    );
    version_1(&server.directory);
    server.compare("critical", "critical.crt", "localhost", [Accepted, Refused, Refused]).await;
    server.compare("v1", "v1.crt", "localhost", [Accepted, RefusedHere("Version"), RefusedHere("Version")]).await;
    // Its key can't be read, so the channel can't be bound to it.
    let postgres = server.present("v1").await;
    assert!(!reaches(postgres, "localhost", "sslmode=require&channel_binding=require").await);
}

/// Of X.509 version 1, as `v1`.
fn version_1(directory: &Directory) {
    directory.openssl(&format!("req -nodes -newkey {RSA} -subj /CN=localhost -keyout v1.key -out v1.csr"));
    directory.openssl("x509 -req -in v1.csr -signkey v1.key -days 30 -out v1.crt");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs openssl"]
async fn a_key_that_can_not_be_verified_is_named() {
    let mut server = Server::new();
    let refused = RefusedHere("the TLS library here can't use its key");
    for (name, key, verified) in [
        ("p521", "ec -pkeyopt ec_paramgen_curve:secp521r1", refused),
        ("pss", "rsa-pss -pkeyopt rsa_keygen_bits:2048", refused),
        ("ed448", "ed448", refused),
        ("ed25519", "ed25519", Accepted),
        ("p384", "ec -pkeyopt ec_paramgen_curve:secp384r1", Accepted),
    ] {
        server.directory.self_signed(name, key, "/CN=db", SAN);
        server.compare(name, &format!("{name}.crt"), "localhost", [verified; 3]).await;
    }
}

/// It has the certificate, which is public, and not its key.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs openssl"]
async fn an_impostor_is_refused_in_every_mode() {
    let directory = Directory::new();
    directory.self_signed("san", RSA, "/CN=db", SAN);
    let file = directory.0.join("san.crt");
    let certificate = CertificateDer::from_pem_file(&file).unwrap();
    let server = FalseServer::start(Some(impostor(certificate))).await;
    for mode in ["prefer", "require", "verify-ca"] {
        let root = if mode == "verify-ca" { format!("&sslrootcert={}", file.display()) } else { String::new() };
        let url = format!("postgres://auth:hunter2@localhost:{}/auth?sslmode={mode}{root}", server.port);
        assert!(!connects(&url).await, "{mode}");
        assert!(server.received().is_empty(), "{mode}: the handshake ended before the first message");
    }
}

/// A TLS server with this certificate and another RSA key.
fn impostor(certificate: CertificateDer<'static>) -> TlsAcceptor {
    let directory = Directory::new();
    directory.self_signed("other", RSA, "/CN=db", SAN);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from_pem_file(directory.0.join("other.key")).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let pair = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(pair));
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs openssl"]
async fn a_client_certificate_is_shown_to_the_server() {
    let mut server = Server::new();
    let (key, certificate) = (server.directory.0.join("san.key"), server.directory.0.join("san.crt"));
    server.directory.self_signed("san", RSA, "/CN=db", SAN);
    let root = server.directory.read("san.crt");
    let postgres = server.present("san").await;
    let ca = postgres.data_dir().join("ca.crt");
    std::fs::write(&ca, root).unwrap();
    std::fs::set_permissions(&ca, Permissions::from_mode(0o644)).unwrap();
    let rule = "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";
    let admin = connect(&postgres.url("postgres")).await;
    admin.simple_query("ALTER SYSTEM SET ssl_ca_file = 'ca.crt'").await.unwrap();
    std::fs::write(postgres.data_dir().join("pg_hba.conf"), rule).unwrap();
    let postgres = server.present("san").await;
    let client = format!("&sslcert={}&sslkey={}", certificate.display(), key.display());
    assert!(!reaches(postgres, "127.0.0.1", "sslmode=require").await);
    assert!(reaches(postgres, "127.0.0.1", &format!("sslmode=require{client}")).await);
}
