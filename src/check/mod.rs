//! Checks a set-up without a person: for the command `check`, and in the log at start.
//!
//! Postgres is only read. Postiz is asked for what it tells anyone, and a client secret is tried with a made-up
//! authorization code. Without an app, the command registers one client at Postiz, which nobody uses and Postiz deletes
//! after 30 days; a start does not.

mod client_address;
mod configuration;
mod postgres;
mod postiz;
mod report;
mod server_url;

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::db::{self, Database, InspectError, Inspection};
use crate::outbound::{self, SetupError};
use crate::postiz::Postiz;
use crate::secret::Secret;
use crate::store;

use postiz::Probe;

pub use configuration::problems;
pub use report::{Finding, Report, Verdict};

/// For a database that starts together with this server.
const DATABASE_START: Duration = Duration::from_secs(30);
/// A load balancer takes a while to send requests to a new replica; until then `SERVER_URL` seems broken.
const TRIES: usize = 4;
const RETRY_DELAY: Duration = Duration::from_secs(15);

/// Takes twenty seconds at most.
pub async fn run(config: &Config) -> Result<Report, SetupError> {
    let http = outbound::client()?;
    let postiz = Postiz::new(config, http.clone());
    let inside = async {
        let inspected = inspect(config).await;
        let reached = server_url::reach(config, &http, key(&inspected)).await;
        (inspected, reached)
    };
    let ((inspected, reached), answers) = tokio::join!(inside, postiz::ask(&postiz, config, Probe::Register));
    let findings = [
        configuration::warnings(config),
        server_url::findings(config, &reached),
        postgres::findings(config, &inspected),
        postiz::findings(config, &answers),
    ];
    Ok(Report::new(findings.concat()))
}

/// Runs all checks in the background once the server serves, and logs warnings and failures.
pub async fn at_start(config: Config, database: Database, http: reqwest::Client, stopping: CancellationToken) {
    let work = async {
        let _ = timeout(DATABASE_START, database.migrated()).await;
        let postiz = Postiz::new(&config, http.clone());
        let (inspected, answers) = tokio::join!(inspect(&config), postiz::ask(&postiz, &config, Probe::OnlyLook));
        let findings = [postgres::findings(&config, &inspected), postiz::findings(&config, &answers)].concat();
        Report::new(findings).log("Postgres and Postiz");
        let mut tries = 1;
        loop {
            let reached = server_url::reach(&config, &http, key(&inspected)).await;
            let report = Report::new(server_url::findings(&config, &reached));
            if report.verdict != Verdict::Fail || tries == TRIES {
                return report.log("SERVER_URL");
            }
            tries += 1;
            sleep(RETRY_DELAY).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stopping.cancelled() => {}
    }
}

async fn inspect(config: &Config) -> Result<Inspection, InspectError> {
    db::inspect(&config.database, store::TABLES).await
}

/// By which a server on the same database is recognised.
fn key(inspected: &Result<Inspection, InspectError>) -> Option<&Secret> {
    inspected.as_ref().ok()?.self_check_key.as_ref()
}
