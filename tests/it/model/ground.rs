//! What all stories share: two replicas' stores on one database, and a count of what has happened.

use std::sync::{Mutex, PoisonError};

use postiz_auth_server::store::Store;
use tokio_postgres::Client;

use crate::support::{Database, connect};

/// What all stories share.
pub struct Ground {
    pub stores: [Store; 2],
    pub client: Client,
    seen: Mutex<Seen>,
    _database: Database,
}

/// What has happened in all stories together.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub stories: u32,
    pub steps: u32,
    pub claims: u32,
    pub takeovers: u32,
    pub taken_back: u32,
    pub deliveries: u32,
    pub denials: u32,
    pub superseded: u32,
}

impl Seen {
    pub fn is_worth_something(&self) -> bool {
        [self.claims, self.takeovers, self.deliveries, self.denials].iter().all(|count| *count > 0)
    }
}

impl Ground {
    pub async fn new() -> Self {
        let database = Database::new().await;
        let stores = [database.store(), database.store()];
        stores[0].database().migrate().await.unwrap();
        Self { client: connect(&database.url()).await, stores, seen: Mutex::default(), _database: database }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn count(&self, what: impl FnOnce(&mut Seen) -> &mut u32) {
        *what(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner)) += 1;
    }
}
