//! TLS to Postgres does what libpq would do with each `sslmode`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use postiz_auth_server::db::Database;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use stand_in::Postgres;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::support::{cluster, config, connect};

/// A PostgreSQL that offers TLS with this certificate and key, both PEM.
pub async fn postgres(certificate: &str, key: &str) -> Postgres {
    let postgres = tokio::task::spawn_blocking(|| Postgres::start(&[("fsync", "off")]).unwrap()).await.unwrap();
    let admin = connect(&postgres.url("postgres")).await;
    admin.simple_query("ALTER SYSTEM SET ssl = on").await.unwrap();
    admin.simple_query("ALTER SYSTEM SET ssl_ca_file = 'server.crt'").await.unwrap();
    present(&postgres, certificate, key);
    postgres
}

/// Offers another certificate from now on.
fn present(postgres: &Postgres, certificate: &str, key: &str) {
    postgres.stop_fast().unwrap();
    for (name, pem) in [("server.crt", certificate), ("server.key", key)] {
        let path = postgres.data_dir().join(name);
        fs::write(&path, pem).unwrap();
        let owner = fs::metadata(postgres.data_dir()).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    postgres.start_again().unwrap();
}

/// A certificate authority.
pub fn issuer(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `localhost` that signs itself, and its key, both PEM.
pub fn self_signed() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    // As `openssl req -x509` makes it.
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// This machine, under an address that is on no list of private ones.
pub const PUBLIC: &str = "0.0.0.0";

/// The URL of a database at this host.
pub fn at(postgres: &Postgres, host: &str, query: &str) -> String {
    let mut url = Url::parse(&postgres.url("postgres")).unwrap();
    url.set_host(Some(host)).unwrap();
    url.set_query(Some(query));
    url.into()
}

/// Whether the server can use this database.
async fn connects(url: &str) -> bool {
    Database::new(&config(url, &[])).unwrap().migrate().await.is_ok()
}

/// Whether libpq can.
fn psql(url: &str) -> bool {
    let mut psql = Command::new(cluster().bin_dir().join("psql"));
    psql.args(["-d", url, "-c", "SELECT 1"]).env("HOME", "/nonexistent").output().unwrap().status.success()
}

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs openssl"]
async fn each_sslmode_accepts_the_same_as_in_libpq() {
    let directory = std::env::temp_dir().join(format!("certificates-{:016x}", rand::random::<u64>()));
    fs::create_dir(&directory).unwrap();
    let (authority, other) = (issuer("ours"), issuer("other"));
    let (certificate, key) = self_signed();
    let own_key = KeyPair::from_pem(&key).unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let named = params.signed_by(&own_key, &authority).unwrap().pem();
    let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    unknown.set_criticality(true);
    params.custom_extensions.push(unknown);
    let critical = params.signed_by(&own_key, &authority).unwrap().pem();
    params.custom_extensions.clear();
    params.not_after = date_time_ymd(2020, 1, 1);
    let expired = params.signed_by(&own_key, &authority).unwrap().pem();
    fs::write(directory.join("own"), &certificate).unwrap();
    fs::write(directory.join("key"), &key).unwrap();
    fs::set_permissions(directory.join("key"), fs::Permissions::from_mode(0o600)).unwrap();
    // Of X.509 version 1.
    openssl(&directory, "req -new -key key -subj /CN=localhost -out request");
    openssl(&directory, "x509 -req -in request -signkey key -days 30 -out v1");
    let v1 = fs::read_to_string(directory.join("v1")).unwrap();

    let postgres = postgres(&named, &key).await;
    for (name, certificate, root, host, accepted) in [
        ("named", &named, authority.pem(), "localhost", [true, true, true]),
        ("named", &named, authority.pem(), "127.0.0.1", [true, true, false]),
        ("of another authority", &named, other.pem(), "localhost", [true, false, false]),
        ("expired", &expired, authority.pem(), "localhost", [true, false, false]),
        ("of an unknown critical extension", &critical, authority.pem(), "localhost", [true, false, false]),
        ("self-signed", &certificate, certificate.clone(), "localhost", [true, true, true]),
        ("self-signed", &certificate, certificate.clone(), "127.0.0.1", [true, true, false]),
        ("another self-signed", &certificate, self_signed().0, "localhost", [true, false, false]),
        ("version 1", &v1, other.pem(), "localhost", [true, false, false]),
    ] {
        present(&postgres, certificate, &key);
        let file = directory.join("root");
        fs::write(&file, root).unwrap();
        let root = format!("sslrootcert={}", file.display());
        let modes = ["require".to_owned(), format!("verify-ca&{root}"), format!("verify-full&{root}")];
        for (mode, accepted) in modes.iter().zip(accepted) {
            let url = at(&postgres, host, &format!("sslmode={mode}"));
            assert_eq!((psql(&url), connects(&url).await), (accepted, accepted), "{name} {host} {mode}");
        }
    }

    present(&postgres, &certificate, &key);
    let root = format!("sslmode=require&sslrootcert={}", directory.join("root").display());
    for (host, query, accepted) in [
        ("localhost", "sslmode=disable", true),
        ("localhost", "sslmode=prefer", true),
        ("localhost", "sslmode=prefer&channel_binding=require", true),
        ("localhost", "sslmode=disable&channel_binding=require", false),
        ("localhost", &root, false),
        ("localhost", "sslmode=verify-full&sslrootcert=system", false),
        (PUBLIC, "sslmode=disable", true),
        (PUBLIC, "", true),
    ] {
        let url = at(&postgres, host, query);
        assert_eq!((psql(&url), connects(&url).await), (accepted, accepted), "{host} {query}");
    }
    fs::remove_dir_all(directory).unwrap();
}

/// A false server that asks for the password in clear text.
struct FalseServer {
    port: u16,
    received: Arc<Mutex<Vec<u8>>>,
}

impl FalseServer {
    /// Offers TLS with this certificate and key, or none.
    async fn start(tls: Option<(&str, &str)>) -> Self {
        let tls = tls.map(|(certificate, key)| acceptor(certificate, key));
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
        let received = std::mem::take(&mut *self.received.lock().unwrap());
        received.windows(7).any(|part| part == b"hunter2")
    }
}

/// The key need not be the certificate's: anybody may have that.
pub fn acceptor(certificate: &str, key: &str) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let pair = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(pair));
    TlsAcceptor::from(Arc::new(config))
}

/// One connection. All that is received before its end is recorded, decrypted.
async fn lie(mut client: TcpStream, tls: Option<TlsAcceptor>, record: Arc<Mutex<Vec<u8>>>) -> std::io::Result<()> {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let mut first = [0; 8];
    client.read_exact(&mut first).await?;
    match tls {
        Some(tls) if first == SSL_REQUEST => {
            client.write_all(b"S").await?;
            ask_in_clear_text(tls.accept(client).await?, record).await
        }
        _ => {
            if first == SSL_REQUEST {
                client.write_all(b"N").await?;
            }
            ask_in_clear_text(client, record).await
        }
    }
}

async fn ask_in_clear_text(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    record: Arc<Mutex<Vec<u8>>>,
) -> std::io::Result<()> {
    let mut part = [0; 1024];
    for question in [&b"R\0\0\0\x08\0\0\0\x03"[..], b""] {
        let read = client.read(&mut part).await?;
        record.lock().unwrap().extend_from_slice(&part[..read]);
        client.write_all(question).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_server_without_tls_on_a_public_network_gets_no_password() {
    let (certificate, key) = self_signed();
    let plain = FalseServer::start(None).await;
    let tls = FalseServer::start(Some((&certificate, &key))).await;
    let impostor = FalseServer::start(Some((&certificate, &self_signed().1))).await;
    for (server, host, query, has_password) in [
        (&plain, PUBLIC, "", false),
        // On a private network, and where the URL says so, clear text is allowed.
        (&plain, PUBLIC, "sslmode=prefer", true),
        (&plain, "127.0.0.1", "", true),
        // `require`, which holds on a public network, accepts any certificate, as in libpq.
        (&tls, PUBLIC, "", true),
        (&tls, PUBLIC, "sslmode=require", true),
        (&tls, PUBLIC, "sslmode=require&channel_binding=require", false),
        // It has the certificate, and not its key.
        (&impostor, PUBLIC, "sslmode=require", false),
        (&impostor, "127.0.0.1", "sslmode=prefer", false),
    ] {
        assert_eq!(server.gets_the_password(host, query).await, has_password, "{host}:{} {query}", server.port);
    }
}
