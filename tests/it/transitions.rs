//! Every step in every state, on a real Postgres, held against the table in the code.

use std::time::Duration;

use postiz_auth_server::grant::{BrowserKey, GrantId, State, Status, Step, UserCode};
use postiz_auth_server::secret::Digest;
use postiz_auth_server::store::{Claim, Lease, LeaseHolder, Store, Which};
use strum::VariantArray as _;

use crate::support::{Database, new_grant, sealed};

/// A grant, the browser that confirms it, and the lease of its first exchange.
struct Grant {
    store: Store,
    id: GrantId,
    code: UserCode,
    browser: BrowserKey,
    lease: Option<Lease>,
}

impl Grant {
    async fn open(store: Store) -> Self {
        let (device_code, code) = store.open(&new_grant()).await.unwrap();
        Self { store, id: device_code.grant_id(), code, browser: BrowserKey::random(), lease: None }
    }

    fn state(&self) -> State {
        self.browser.state(self.id)
    }

    /// Takes a fresh grant to a state by the steps that lead there.
    async fn bring_to(&mut self, status: Status) {
        let last = match status {
            Status::Pending => return,
            Status::Authorizing => None,
            Status::Denied => Some(Step::Deny),
            Status::Approved | Status::Delivered => Some(Step::Approve),
            Status::Revoked => Some(Step::Revoke),
        };
        let delivery = (status == Status::Delivered).then_some(Step::Deliver);
        for step in [Step::Begin, Step::Claim].into_iter().chain(last).chain(delivery) {
            self.take(step, "first").await;
        }
    }

    /// A claim brings the authorization code `code`.
    async fn take(&mut self, step: Step, code: &str) {
        let (store, digest) = (&self.store, Digest::of(code.as_bytes()));
        match step {
            Step::Begin => drop(store.begin(self.code, None, &self.browser, None).await.unwrap()),
            Step::Deny => drop(store.deny(self.code, None).await.unwrap()),
            Step::Revoke => drop(store.revoke(Which::UserCode(self.code)).await.unwrap()),
            Step::Abandon => drop(store.abandon(&self.state(), &digest).await.unwrap()),
            Step::Deliver => drop(store.deliver(self.id).await.unwrap()),
            Step::Claim => {
                if let Some(lease) = &self.lease {
                    store.release(lease, false).await.unwrap();
                }
                let holder = LeaseHolder::random();
                if let Claim::Claimed(lease) =
                    store.claim(&self.state(), &self.browser, &digest, &holder).await.unwrap()
                {
                    self.lease = Some(lease);
                }
            }
            Step::Approve => {
                let Some(lease) = &self.lease else { return };
                store.approve(lease, &sealed(lease, "pos_x"), Duration::from_secs(5)).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_takes_each_step_as_the_table_says() {
    let database = Database::new().await;
    let store = database.store();
    store.database().migrate().await.unwrap();
    for status in Status::VARIANTS {
        for step in Step::VARIANTS {
            let mut grant = Grant::open(store.clone()).await;
            let select = format!("SELECT status FROM device_requests WHERE user_code = '{}'", grant.code.letters());
            let found = async || -> String { database.rows(&select).await[0].get(0) };
            grant.bring_to(*status).await;
            assert_eq!(found().await, status.to_string());
            grant.take(*step, "second").await;
            let expected = status.after(*step).unwrap_or(*status);
            assert_eq!(found().await, expected.to_string(), "{step:?} in {status}");
        }
    }
}
