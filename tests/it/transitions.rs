//! Every step in every state, on a real Postgres, held against the table in the code.

use std::time::Duration;

use postiz_auth_server::grant::{BrowserKey, Credentials, Done, GrantId, State, Status, Step, UserCode};
use postiz_auth_server::secret::Digest;
use postiz_auth_server::store::{Claim, Entered, Lease, LeaseHolder, Refusal, Store, Which};

use strum::VariantArray as _;

use crate::support::{Database, new_grant};

const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

struct Grant {
    store: Store,
    id: GrantId,
    code: UserCode,
    browser: BrowserKey,
}

impl Grant {
    async fn open(store: &Store) -> Self {
        let (device_code, code) = store.open(&new_grant()).await.unwrap();
        Self { store: store.clone(), id: device_code.grant_id(), code, browser: BrowserKey::random() }
    }

    fn state(&self) -> State {
        self.browser.state(self.id)
    }

    async fn begin(&self) -> bool {
        matches!(self.store.begin(self.code, None, &self.browser, None).await.unwrap(), Entered::Found(_))
    }

    async fn claim(&self, code: &str) -> Option<Lease> {
        let digest = Digest::of(code.as_bytes());
        match self.store.claim(&self.state(), &self.browser, &digest, &LeaseHolder::random()).await.unwrap() {
            Claim::Claimed(lease) => Some(lease),
            _ => None,
        }
    }

    async fn approve(&self, lease: &Lease) {
        let credentials = Credentials {
            access_token: "pos_x".into(),
            token_type: "bearer".into(),
            organization_id: None,
            scope: None,
        };
        let sealed = lease.sealing_key.seal(&lease.grant, &credentials).unwrap();
        self.store.approve(lease, &sealed, STATEMENT_TIMEOUT).await.unwrap();
    }

    /// Takes a fresh grant to a state by the steps that lead there; returns the lease that was used.
    async fn bring_to(&self, status: Status) -> Option<Lease> {
        if status == Status::Pending {
            return None;
        }
        assert!(self.begin().await);
        let lease = self.claim("first").await.unwrap();
        match status {
            Status::Pending | Status::Authorizing => {}
            Status::Denied => {
                assert!(matches!(self.store.deny(self.code, None).await.unwrap(), Entered::Found(_)));
            }
            Status::Approved => self.approve(&lease).await,
            Status::Delivered => {
                self.approve(&lease).await;
                assert!(self.store.deliver(self.id).await.unwrap().is_some());
            }
            Status::Revoked => {
                assert_eq!(self.store.revoke(Which::UserCode(self.code)).await, Ok(vec![self.id]));
            }
        }
        Some(lease)
    }

    async fn take(&self, step: Step, lease: Option<&Lease>) {
        match step {
            Step::Begin => drop(self.begin().await),
            Step::Deny => drop(self.store.deny(self.code, None).await.unwrap()),
            Step::Revoke => drop(self.store.revoke(Which::UserCode(self.code)).await.unwrap()),
            Step::Abandon => {
                self.store.abandon(&self.state(), &Digest::of(b"elsewhere")).await.unwrap();
            }
            Step::Deliver => drop(self.store.deliver(self.id).await.unwrap()),
            Step::Claim => {
                if let Some(lease) = lease {
                    self.store.release(lease, false).await.unwrap();
                }
                let _ = self.claim("second").await;
            }
            Step::Approve => {
                if let Some(lease) = lease {
                    self.approve(lease).await;
                }
            }
        }
    }
}

async fn store() -> (Database, Store) {
    let database = Database::new().await;
    let store = database.store();
    store.database().migrate().await.unwrap();
    (database, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_takes_each_step_as_the_table_says() {
    let (database, store) = store().await;
    for status in Status::VARIANTS {
        for step in Step::VARIANTS {
            let grant = Grant::open(&store).await;
            let lease = grant.bring_to(*status).await;
            grant.take(*step, lease.as_ref()).await;
            let id = format!("user_code = '{}'", grant.code.letters());
            let found: String =
                database.rows(&format!("SELECT status FROM device_requests WHERE {id}")).await[0].get(0);
            let expected = status.after(*step).unwrap_or(*status);
            assert_eq!(found, expected.to_string(), "{step:?} in {status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_in_mid_exchange_stands() {
    let (_database, store) = store().await;
    let grant = Grant::open(&store).await;
    let lease = grant.bring_to(Status::Authorizing).await.unwrap();
    store.deny(grant.code, None).await.unwrap();
    grant.approve(&lease).await;
    assert!(store.deliver(grant.id).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_held_by_one_until_it_runs_out() {
    let (database, store) = store().await;
    let grant = Grant::open(&store).await;
    assert!(grant.begin().await);
    assert!(grant.claim("code").await.is_some());
    assert!(grant.claim("code").await.is_none());
    database.run("UPDATE device_requests SET leased_until = now()").await;
    assert!(grant.claim("code").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn approving_again_with_the_same_code_changes_nothing() {
    let (_database, store) = store().await;
    let grant = Grant::open(&store).await;
    let lease = grant.bring_to(Status::Delivered).await.unwrap();
    grant.approve(&lease).await;
    assert!(store.terminal(grant.id).await.unwrap() == Some(Done::SignedIn));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandonment_whose_answer_was_lost_is_the_same_again() {
    let (_database, store) = store().await;
    let grant = Grant::open(&store).await;
    grant.bring_to(Status::Approved).await;
    let code = Digest::of(b"elsewhere");
    for applied in [true, false] {
        let found = store.abandon(&grant.state(), &code).await.unwrap();
        assert_eq!(found, Refusal { outcome: Done::Stopped, applied });
    }
}

/// Each update of an indexed column costs an entry in every index.
#[tokio::test(flavor = "multi_thread")]
async fn no_step_but_the_decision_changes_an_indexed_column() {
    let (database, store) = store().await;
    let grant = Grant::open(&store).await;
    store.look_up(grant.id, false, None).await.unwrap();
    grant.bring_to(Status::Delivered).await;
    let indexed = "SELECT attname::text FROM pg_attribute JOIN pg_index ON attrelid = indrelid AND attnum = ANY(indkey)
                   WHERE attrelid = 'device_requests'::regclass ORDER BY 1";
    let columns: Vec<String> = database.rows(indexed).await.iter().map(|row| row.get(0)).collect();
    assert_eq!(columns, ["expires_at", "id", "settled_at", "user_code"]);
}
