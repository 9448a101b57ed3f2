//! `/health` for load balancers, `/health/live` for supervisors that restart processes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Data;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::db::Database;
use crate::http::Deps;

/// Postgres is asked at most once in this time, however many probes arrive.
const FRESH: Duration = Duration::from_secs(1);

/// Whether this replica can serve, asked of Postgres at most once a second.
#[derive(Debug)]
pub struct Health {
    database: Database,
    stopping: CancellationToken,
    /// The server still serves, and balancers should stop sending requests.
    draining: AtomicBool,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Health {
    pub fn new(database: Database, stopping: CancellationToken) -> Self {
        Self { database, stopping, draining: AtomicBool::new(false), last: Mutex::new(None) }
    }

    /// From now on `/health` answers 503.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn is_stopping(&self) -> bool {
        self.draining.load(Ordering::Relaxed) || self.stopping.is_cancelled()
    }

    /// As of at most [`FRESH`] ago. Concurrent probes share one statement.
    async fn is_ready(&self) -> bool {
        // Not cached: the first probe after the migrations succeeds.
        if self.is_stopping() || !self.database.is_migrated() {
            return false;
        }
        let mut last = self.last.lock().await;
        match *last {
            Some((asked_at, answer)) if asked_at.elapsed() < FRESH => answer,
            _ => {
                let answer = self.database.is_writable().await;
                *last = Some((Instant::now(), answer));
                answer
            }
        }
    }
}

/// 200 if logins can be served, otherwise 503.
pub async fn ready(deps: Data<Deps>) -> HttpResponse {
    if deps.health.is_ready().await {
        status(HttpResponse::Ok(), "ok")
    } else if deps.health.is_stopping() {
        status(HttpResponse::ServiceUnavailable(), "stopping")
    } else {
        status(HttpResponse::ServiceUnavailable(), "database unavailable")
    }
}

/// 200 while the process answers: a restart would not bring Postgres back.
pub async fn live() -> HttpResponse {
    status(HttpResponse::Ok(), "ok")
}

fn status(mut response: actix_web::HttpResponseBuilder, word: &str) -> HttpResponse {
    response.insert_header((CACHE_CONTROL, "no-store")).json(json!({ "status": word }))
}
