//! TLS to Postgres does what libpq would do with each `sslmode`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::sync::{Arc, Mutex};

use postiz_auth_server::db::Database;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use stand_in::Postgres;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::support::{config, connect, eventually};

/// A PostgreSQL that offers TLS with this certificate and key, both PEM.
pub async fn postgres(certificate: &str, key: &str) -> Postgres {
    let postgres = tokio::task::spawn_blocking(|| Postgres::start(&[("fsync", "off")]).unwrap()).await.unwrap();
    write(&postgres, certificate, key);
    let admin = connect(&postgres.url("postgres")).await;
    admin.simple_query("ALTER SYSTEM SET ssl = on").await.unwrap();
    admin.simple_query("SELECT pg_reload_conf()").await.unwrap();
    // The postmaster reads its settings when it gets to the signal.
    let on = async || {
        let shown = admin.query_typed("SHOW ssl", &[]).await.unwrap();
        shown[0].get::<_, String>(0) == "on"
    };
    eventually("TLS in PostgreSQL", on).await;
    postgres
}

/// Where PostgreSQL finds them at its next start.
pub fn write(postgres: &Postgres, certificate: &str, key: &str) {
    for (name, pem) in [("server.crt", certificate), ("server.key", key)] {
        let path = postgres.data_dir().join(name);
        fs::write(&path, pem).unwrap();
        let owner = fs::metadata(postgres.data_dir()).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// A certificate authority.
pub fn issuer(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// This machine, under an address that is on no list of private ones.
pub const PUBLIC: &str = "0.0.0.0";

/// Whether the server can use its database with this URL.
pub async fn reaches(postgres: &Postgres, host: &str, query: &str) -> bool {
    let mut url = Url::parse(&postgres.url("postgres")).unwrap();
    url.set_host(Some(host)).unwrap();
    url.set_query(Some(query));
    connects(url.as_str()).await
}

pub async fn connects(url: &str) -> bool {
    Database::new(&config(url, &[])).unwrap().migrate().await.is_ok()
}

pub fn root(directory: &Path, name: &str, pem: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, pem).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sslmode_accepts_the_same_as_in_libpq() {
    let (ours, other) = (issuer("ours"), issuer("other"));
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
    let postgres = postgres(&leaf.pem(), &key.serialize_pem()).await;
    let directory = std::env::temp_dir().join(format!("roots-{:016x}", rand::random::<u64>()));
    fs::create_dir(&directory).unwrap();
    let (good, unknown) = (root(&directory, "good.pem", &ours.pem()), root(&directory, "other.pem", &other.pem()));
    for (host, query, reached) in [
        ("localhost", "sslmode=disable".to_owned(), true),
        ("localhost", "sslmode=allow".to_owned(), true),
        ("localhost", "sslmode=prefer".to_owned(), true),
        ("localhost", "sslmode=require".to_owned(), true),
        // A host that counts as public, with and without TLS.
        (PUBLIC, "sslmode=disable".to_owned(), true),
        (PUBLIC, "sslmode=prefer".to_owned(), true),
        (PUBLIC, String::new(), true),
        (PUBLIC, "sslmode=prefer&channel_binding=require".to_owned(), true),
        ("localhost", "sslmode=require&channel_binding=require".to_owned(), true),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={good}"), true),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={good}"), true),
        ("localhost", format!("sslmode=verify-full&sslrootcert={good}"), true),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={good}"), false),
        ("localhost", format!("sslmode=verify-full&sslrootcert={unknown}"), false),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={unknown}"), false),
        ("localhost", format!("sslmode=require&sslrootcert={unknown}"), false),
        ("localhost", "sslmode=verify-full&sslrootcert=system".to_owned(), false),
    ] {
        assert_eq!(reaches(&postgres, host, &query).await, reached, "{host} {query}");
    }
    fs::remove_dir_all(directory).unwrap();
}

/// What `openssl req -x509` makes by default: an authority that is used as the server's own certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_self_signed_certificate_is_its_own_root() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let postgres = postgres(&certificate.pem(), &key.serialize_pem()).await;
    let directory = std::env::temp_dir().join(format!("roots-{:016x}", rand::random::<u64>()));
    fs::create_dir(&directory).unwrap();
    let itself = root(&directory, "self.pem", &certificate.pem());
    assert!(reaches(&postgres, "localhost", &format!("sslmode=verify-ca&sslrootcert={itself}")).await);
    assert!(reaches(&postgres, "localhost", "sslmode=require").await);
    let stranger = root(&directory, "other.pem", &issuer("other").pem());
    assert!(!reaches(&postgres, "localhost", &format!("sslmode=verify-ca&sslrootcert={stranger}")).await);
    fs::remove_dir_all(directory).unwrap();
}

/// A false server that asks for the password in clear text.
pub struct FalseServer {
    pub port: u16,
    received: Arc<Mutex<Vec<u8>>>,
}

impl FalseServer {
    /// What clients have sent since the last call, decrypted.
    pub fn received(&self) -> Vec<u8> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }

    /// Offers TLS with this certificate, or none.
    pub async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, received) = (listener.local_addr().unwrap().port(), Arc::default());
        let record = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(lie(client, tls.clone(), Arc::clone(&record)));
            }
        });
        Self { port, received }
    }

    /// Whether it has the password after a server with this URL has tried to use it.
    async fn gets_the_password(&self, host: &str, query: &str) -> bool {
        let port = self.port;
        assert!(!connects(&format!("postgres://auth:hunter2@{host}:{port}/auth?{query}")).await, "{host} {query}");
        let received = self.received();
        received.windows(7).any(|part| part == b"hunter2")
    }
}

/// One connection. All that is received before its end is recorded, decrypted.
async fn lie(mut client: TcpStream, tls: Option<TlsAcceptor>, record: Arc<Mutex<Vec<u8>>>) -> std::io::Result<()> {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let mut first = [0; 8];
    client.read_exact(&mut first).await?;
    if first != SSL_REQUEST {
        record.lock().unwrap().extend_from_slice(&first);
        return ask_in_clear_text(client, record).await;
    }
    match tls {
        None => {
            client.write_all(b"N").await?;
            ask_in_clear_text(client, record).await
        }
        Some(tls) => {
            client.write_all(b"S").await?;
            ask_in_clear_text(tls.accept(client).await?, record).await
        }
    }
}

async fn ask_in_clear_text(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    record: Arc<Mutex<Vec<u8>>>,
) -> std::io::Result<()> {
    let mut part = [0; 1024];
    let read = client.read(&mut part).await?;
    record.lock().unwrap().extend_from_slice(&part[..read]);
    client.write_all(b"R\0\0\0\x08\0\0\0\x03").await?;
    let read = client.read(&mut part).await?;
    record.lock().unwrap().extend_from_slice(&part[..read]);
    Ok(())
}

fn self_signed() -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_server_without_tls_on_a_public_network_gets_no_password() {
    let (plain, tls) = (FalseServer::start(None).await, FalseServer::start(Some(self_signed())).await);
    for (server, host, query, has_password) in [
        (&plain, PUBLIC, "", false),
        // On a private network, and where the URL says so, clear text is allowed.
        (&plain, PUBLIC, "sslmode=prefer", true),
        (&plain, "127.0.0.1", "", true),
        (&tls, "127.0.0.1", "", true),
        // `require`, which holds on a public network, accepts any certificate, as in libpq.
        (&tls, PUBLIC, "", true),
        (&tls, PUBLIC, "sslmode=require", true),
        (&tls, PUBLIC, "sslmode=require&channel_binding=require", false),
    ] {
        assert_eq!(server.gets_the_password(host, query).await, has_password, "{host} {query}");
    }
}
