//! `/health` for load balancers, `/health/live` for whoever restarts processes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Data;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::http::Deps;
use crate::store::Store;

/// However many probe, Postgres is asked once in this time.
const FRESH: Duration = Duration::from_secs(1);

/// Whether this replica can serve, asked of Postgres at most once a second.
#[derive(Debug)]
pub struct Health {
    store: Store,
    stopping: CancellationToken,
    /// Set while the server still serves and balancers are to look elsewhere.
    leaving: AtomicBool,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Health {
    /// Asks nothing yet.
    pub fn new(store: Store, stopping: CancellationToken) -> Self {
        Self { store, stopping, leaving: AtomicBool::new(false), last: Mutex::new(None) }
    }

    /// From now on `/health` is 503.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed) || self.stopping.is_cancelled()
    }

    /// Whether Postgres answers, as of at most a second ago; probes that come together share one question.
    async fn is_ready(&self) -> bool {
        // Not remembered: the first probe after the schema is there finds it.
        if self.is_leaving() || !self.store.is_migrated() {
            return false;
        }
        let mut last = self.last.lock().await;
        match *last {
            Some((asked_at, answer)) if asked_at.elapsed() < FRESH => answer,
            _ => {
                let answer = self.store.is_reachable().await;
                *last = Some((Instant::now(), answer));
                answer
            }
        }
    }
}

/// 200 where logins can be served, else 503.
pub async fn ready(deps: Data<Deps>) -> HttpResponse {
    if deps.health.is_ready().await {
        status(HttpResponse::Ok(), "ok")
    } else if deps.health.is_leaving() {
        status(HttpResponse::ServiceUnavailable(), "stopping")
    } else {
        status(HttpResponse::ServiceUnavailable(), "database unreachable")
    }
}

/// 200 as long as the process answers at all; a restart would not bring Postgres back.
pub async fn live() -> HttpResponse {
    status(HttpResponse::Ok(), "ok")
}

fn status(mut response: actix_web::HttpResponseBuilder, word: &str) -> HttpResponse {
    response.insert_header((CACHE_CONTROL, "no-store")).json(json!({ "status": word }))
}
