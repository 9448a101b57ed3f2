//! A pooler sends reads to a standby that lags behind, or a look-up meets a server that was the primary.
//!
//! In these tests, the standby learns of nothing after the schema.

use std::io::Write as _;

use postiz_auth_server::db::DatabaseError;
use postiz_auth_server::grant::Standing;
use stand_in::Postgres;

use crate::support::{Database, Poll, ReadSplitter, Stage, connect, eventually, new_grant};

struct Lagging {
    primary: Postgres,
    standby: Postgres,
}

impl Lagging {
    async fn start() -> Self {
        let (primary, standby) = tokio::task::spawn_blocking(|| {
            let primary = Postgres::start(&[("fsync", "off")]).unwrap();
            let mut rules = std::fs::OpenOptions::new();
            let mut rules = rules.write(true).truncate(true).open(primary.data_dir().join("pg_hba.conf")).unwrap();
            rules.write_all(b"host all,replication all 127.0.0.1/32 trust\n").unwrap();
            primary.stop_fast().unwrap();
            primary.start_again().unwrap();
            let standby = primary.standby().unwrap();
            (primary, standby)
        })
        .await
        .unwrap();
        let pair = Self { primary, standby };
        pair.database().store().database().migrate().await.unwrap();
        let standby = connect(&pair.standby.url("postgres")).await;
        let migrated = async || standby.query_typed("SELECT FROM device_requests", &[]).await.is_ok();
        eventually("the schema on the standby", migrated).await;
        standby.simple_query("SELECT pg_wal_replay_pause()").await.unwrap();
        let paused = async || {
            let state = standby.query_typed("SELECT pg_get_wal_replay_pause_state() = 'paused'", &[]).await.unwrap();
            state[0].get::<_, bool>(0)
        };
        eventually("the standby to pause", paused).await;
        pair
    }

    fn database(&self) -> Database {
        Database::at(self.primary.url("postgres"))
    }

    fn standby(&self) -> Database {
        Database::at(self.standby.url("postgres"))
    }

    fn split(&self) -> Database {
        let splitter = ReadSplitter::start(self.primary.port(), self.standby.port());
        self.database().reached_by(splitter.url("postgres"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_complete_though_all_look_ups_reach_a_standby_that_knows_none() {
    let pair = Lagging::start().await;
    let mut stage = Stage::empty(pair.split(), &[("LONG_POLL_SECONDS", "1")]);
    for _ in 0..2 {
        stage.start_replica().await;
    }
    let (a, b) = (stage.replicas[0].url(), stage.replicas[1].port());
    stage.balancer.only(b);
    for _ in 0..3 {
        let (login, browser, consent) = stage.at_consent().await;
        let login = login.at(&a);
        assert_eq!(login.poll().await, Poll::error("authorization_pending"));
        browser.approve(&consent).await;
        assert_eq!(login.decided().await, Poll::Token(stage.postiz.live_token().unwrap()));
    }
    assert_eq!(pair.standby().count("device_requests").await, 0, "the standby has not caught up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_tells_nothing_of_a_grant() {
    let pair = Lagging::start().await;
    let (store, on_standby) = (pair.database().store(), pair.standby().store());
    let (device_code, user_code) = store.open(&new_grant()).await.unwrap();
    let id = device_code.grant_id();
    assert_eq!(store.look_up(id, false, None).await.unwrap().0, Standing::Pending);
    assert_eq!(on_standby.look_up(id, false, None).await, Err(DatabaseError::Unavailable));
    assert_eq!(on_standby.view(user_code, None, None).await, Err(DatabaseError::Unavailable));
    // What the standby knows may be over.
    connect(&pair.standby.url("postgres")).await.simple_query("SELECT pg_wal_replay_resume()").await.unwrap();
    eventually("the grant on the standby", async || pair.standby().count("device_requests").await == 1).await;
    assert_eq!(on_standby.look_up(id, false, None).await, Err(DatabaseError::Unavailable));
}
