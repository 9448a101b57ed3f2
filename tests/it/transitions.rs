//! Every step in every state, on a real Postgres, held against the table in the code.

use std::time::Duration;

use postiz_auth_server::grant::{BrowserKey, Credentials, GrantId, Status, Step, Terminal, UserCode};
use postiz_auth_server::secret::Digest;
use postiz_auth_server::store::{Abandonment, Claim, Delivery, Entered, Lease, LeaseHolder, Store, Which};

use strum::VariantArray as _;

use crate::support::Database;

const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

struct Grant {
    store: Store,
    id: GrantId,
    code: UserCode,
    browser: BrowserKey,
}

impl Grant {
    async fn open(store: &Store) -> Self {
        let (device_code, code) = store.open(None, None).await.unwrap();
        Self { store: store.clone(), id: device_code.grant_id(), code, browser: BrowserKey::random() }
    }

    async fn claim(&self, code: &str) -> Option<Lease> {
        let (state, digest) = (self.browser.state(self.code), Digest::of(code.as_bytes()));
        match self.store.claim(&state, &self.browser, &digest, &LeaseHolder::random()).await.unwrap() {
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
        assert!(matches!(
            self.store.begin(self.code, None, &self.browser, None, None).await.unwrap(),
            Entered::Found(_)
        ));
        let lease = self.claim("first").await.unwrap();
        match status {
            Status::Pending | Status::Authorizing => {}
            Status::Denied => {
                assert!(matches!(self.store.deny(self.code, None).await.unwrap(), Entered::Found(_)));
            }
            Status::Approved => self.approve(&lease).await,
            Status::Delivered => {
                self.approve(&lease).await;
                assert!(matches!(self.store.deliver(self.id).await.unwrap(), Delivery::Token { .. }));
            }
            Status::Revoked => {
                assert_eq!(self.store.revoke(Which::UserCode(self.code)).await, Ok(vec![self.id]));
            }
        }
        Some(lease)
    }

    async fn take(&self, step: Step, lease: Option<&Lease>) {
        match step {
            Step::Begin => drop(self.store.begin(self.code, None, &self.browser, None, None).await.unwrap()),
            Step::Deny => drop(self.store.deny(self.code, None).await.unwrap()),
            Step::Revoke => drop(self.store.revoke(Which::UserCode(self.code)).await.unwrap()),
            Step::Abandon => {
                let (state, holder) = (self.browser.state(self.code), LeaseHolder::random());
                self.store.abandon(&state, &Digest::of(b"elsewhere"), &holder).await.unwrap();
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
    assert!(matches!(store.deliver(grant.id).await.unwrap(), Delivery::NotReady));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_held_by_one_until_it_runs_out() {
    let (database, store) = store().await;
    let grant = Grant::open(&store).await;
    store.begin(grant.code, None, &grant.browser, None, None).await.unwrap();
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
    assert!(store.terminal(grant.id).await.unwrap() == Some(Terminal::SignedIn));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandonment_whose_answer_was_lost_still_uses_its_code_up() {
    let (_database, store) = store().await;
    let grant = Grant::open(&store).await;
    grant.bring_to(Status::Approved).await;
    let (state, code, holder) = (grant.browser.state(grant.code), Digest::of(b"elsewhere"), LeaseHolder::random());
    assert_eq!(store.abandon(&state, &code, &holder).await, Ok(Abandonment::Ended(grant.id)));
    assert_eq!(store.abandon(&state, &code, &holder).await, Ok(Abandonment::AlreadyOver(grant.id)));
    let other = LeaseHolder::random();
    assert_eq!(store.abandon(&state, &code, &other).await, Ok(Abandonment::Repeated(grant.id)));
}
