//! The database.

use url::Url;

use super::check;
use crate::support::{Database, Stage, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_can_not_be_used_fails_with_its_cause() {
    let mut stage = Stage::new().await;
    let good = stage.database.url();
    let mut url = Url::parse(&good).unwrap();
    let password = url.password().unwrap().to_owned();
    let role = format!("reader_{:08x}", rand::random::<u32>());
    stage.database.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2'")).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut on_port = |port| {
        url.set_port(Some(port)).unwrap();
        url.to_string()
    };
    for (database, check_name, words) in [
        (on_port(free_port()), "postgres.reach", "refused"),
        (on_port(silent.local_addr().unwrap().port()), "postgres.reach", "no answer from 127.0.0.1"),
        (good.replace(&password, "hunter2"), "postgres.reach", "28P01"),
        (good.replace(&format!(":{password}@"), "@"), "postgres.reach", "USER:PASSWORD"),
        (format!("{good}_gone"), "postgres.reach", "Create the database"),
        (format!("{good}?sslmode=require"), "postgres.tls", "has no TLS"),
        (format!("{good}?options=-c%20default_transaction_read_only%3Don"), "postgres.writable", "read-only"),
        (
            good.replace(&format!("postiz:{password}"), &format!("{role}:hunter2")),
            "postgres.rights",
            "GRANT INSERT on device_requests TO reader_",
        ),
    ] {
        check(&mut stage, &[("DATABASE_URL", &database)]).await.blames(check_name, &[words]);
    }
    stage.database.run(&format!("DROP ROLE {role}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_database_is_ok_and_postizs_own_one_fails() {
    let mut stage = Stage::empty(Database::new().await, &[]);
    check(&mut stage, &[]).await.says("postgres.rights", "ok", &["makes its tables when it starts"]);
    stage.database.run("CREATE TABLE \"OAuthApp\" (id text)").await;
    check(&mut stage, &[]).await.blames("postgres.rights", &["OAuthApp", "CREATE DATABASE"]);
}
