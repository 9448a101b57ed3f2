//! The database.

use rcgen::{CertificateParams, KeyPair};
use stand_in::Postgres;

use super::{check, free_port};
use crate::encryption;
use crate::support::{Database, PgBouncer, Replica, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_can_not_be_used_fails_with_its_cause() {
    let mut stage = Stage::new().await;
    let good = stage.database.url();
    let password = url::Url::parse(&good).unwrap().password().unwrap().to_owned();
    let role = format!("reader_{:08x}", rand::random::<u32>());
    stage.database.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2'")).await;
    let as_reader = good.replace(&format!("postiz:{password}"), &format!("{role}:hunter2"));
    let (port, closed) = (url::Url::parse(&good).unwrap().port().unwrap(), free_port());
    for (database, check_name, words) in [
        (good.replace(&port.to_string(), &closed.to_string()), "postgres.reach", ["can't be used", "refused"]),
        (good.replace(&password, "hunter2"), "postgres.reach", ["28P01", "password"]),
        (good.replace(&format!(":{password}@"), "@"), "postgres.reach", ["password missing", "USER:PASSWORD"]),
        (format!("{good}_gone"), "postgres.reach", ["3D000", "Create the database"]),
        (good.replace("127.0.0.1", "db.invalid"), "postgres.reach", ["can't be used", "lookup"]),
        (format!("{good}?sslmode=require"), "postgres.tls", ["has no TLS", "sslmode"]),
        (format!("{good}?sslmode=verify-ca&sslrootcert=/nothing.pem"), "postgres.tls", ["/nothing.pem", "PEM"]),
        (
            format!("{good}?options=-c%20default_transaction_read_only%3Don"),
            "postgres.writable",
            ["read-only", "options"],
        ),
        (
            as_reader,
            "postgres.rights",
            ["UPDATE on postiz_auth_wrong_codes", "GRANT INSERT on device_requests TO reader_"],
        ),
    ] {
        check(&mut stage, &[("DATABASE_URL", &database)]).await.blames(check_name, &words);
    }
    stage.database.run(&format!("DROP ROLE {role}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postizs_own_database_fails_in_check_and_in_the_log_at_start() {
    let mut stage = Stage::empty(Database::new().await, &[]);
    stage.database.run("CREATE TABLE \"OAuthApp\" (id text)").await;
    let replica = Replica::start(stage.variables());
    let line = replica.logged("\"check\":\"postgres.own\"").await;
    assert_eq!(line["level"].as_str(), Some("ERROR"), "{line}");
    check(&mut stage, &[]).await.blames("postgres.own", &["OAuthApp", "drop tables", "CREATE DATABASE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_host_without_verified_tls_is_warned_of_at_the_start_and_by_check() {
    let url = Database::new().await.url().replace("127.0.0.1", encryption::PUBLIC) + "?sslmode=prefer";
    let mut stage = Stage::empty(Database::at(url), &[]);
    let replica = stage.start_replica().await;
    let logged = replica.logged("is not on a private network").await;
    assert_eq!(logged["level"], "WARN", "{logged}");
    let report = check(&mut stage, &[]).await;
    assert!(
        report
            .of("configuration")
            .iter()
            .any(|(verdict, text)| *verdict == "warn" && text.contains("sslmode=verify-full")),
        "{}",
        report.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_authority_and_a_standby_fail() {
    let (ours, other) = (encryption::issuer("ours"), encryption::issuer("other"));
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
    let postgres = encryption::postgres(&leaf.pem(), &key.serialize_pem()).await;
    let file = std::env::temp_dir().join(format!("root-{:016x}.pem", rand::random::<u64>()));
    let url = postgres.url("postgres").replace("127.0.0.1", "localhost");
    let verified = format!("{url}?sslmode=verify-full&sslrootcert={}", file.display());
    let mut stage = Stage::empty(Database::at(url.clone()), &[]);

    std::fs::write(&file, other.pem()).unwrap();
    check(&mut stage, &[("DATABASE_URL", &verified)]).await.blames("postgres.tls", &["is refused", "UnknownIssuer"]);
    std::fs::write(&file, ours.pem()).unwrap();
    let report = check(&mut stage, &[("DATABASE_URL", &verified)]).await;
    assert!(
        report.of("postgres.tls")[0].1.contains("TLSv1.3; the server's certificate is verified"),
        "{}",
        report.text
    );
    std::fs::remove_file(&file).unwrap();

    standby(&postgres);
    check(&mut stage, &[]).await.blames("postgres.writable", &["It is a standby", "target_session_attrs"]);
}

/// Turns it into a standby without a primary.
fn standby(postgres: &Postgres) {
    postgres.stop_fast().unwrap();
    let signal = postgres.data_dir().join("standby.signal");
    std::fs::write(&signal, "").unwrap();
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(postgres.data_dir()).unwrap());
    std::os::unix::fs::chown(&signal, Some(owner), None).unwrap();
    postgres.start_again().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pgbouncer"]
async fn a_pooler_is_recognised() {
    let pooler = PgBouncer::start().await;
    let mut stage = Stage::empty(Database::behind(&pooler).await, &[]);
    let mut direct = Stage::empty(Database::new().await, &[]);
    for (stage, is_pooled) in [(&mut stage, true), (&mut direct, false)] {
        let report = check(stage, &[]).await;
        assert_eq!(report.of("postgres.connections")[0].1.contains("pooler"), is_pooled, "{}", report.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_no_server_has_used_yet_is_ok() {
    let mut stage = Stage::empty(Database::new().await, &[]);
    let report = check(&mut stage, &[]).await;
    let [(verdict, text)] = report.of("postgres.rights").try_into().unwrap();
    assert!(verdict == "ok" && text.contains("makes its tables when it starts"), "{}", report.text);
}
