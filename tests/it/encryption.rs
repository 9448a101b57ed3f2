//! TLS to Postgres does what libpq would do with each `sslmode`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use postiz_auth_server::config::Config;
use postiz_auth_server::db::Database;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use stand_in::Postgres;
use tokio::runtime::Handle;
use url::Url;

use crate::support::{connect, eventually};

/// A PostgreSQL that offers TLS with this certificate and key, both PEM.
pub async fn postgres(certificate: &str, key: &str) -> Postgres {
    let postgres = tokio::task::spawn_blocking(|| Postgres::start(&[("fsync", "off")]).unwrap()).await.unwrap();
    for (name, pem) in [("server.crt", certificate), ("server.key", key)] {
        let path = postgres.data_dir().join(name);
        fs::write(&path, pem).unwrap();
        let owner = fs::metadata(postgres.data_dir()).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
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

/// A certificate authority.
pub fn issuer(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Whether the server can use its database with this URL.
async fn reaches(postgres: &Postgres, host: &str, query: &str) -> bool {
    let mut url = Url::parse(&postgres.url("postgres")).unwrap();
    url.set_host(Some(host)).unwrap();
    url.set_query(Some(query));
    let variables =
        [("DATABASE_URL", url.as_str()), ("POSTIZ_OAUTH_CLIENT_ID", "pca_x"), ("POSTIZ_OAUTH_CLIENT_SECRET", "x")];
    let config = Config::from_vars(variables.map(|(name, value)| (name.into(), value.into()))).unwrap();
    Database::new(&config, &Handle::current()).unwrap().migrate().await.is_ok()
}

fn root(directory: &Path, name: &str, pem: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, pem).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sslmode_accepts_what_libpq_accepts() {
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
