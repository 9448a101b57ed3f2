//! Checks a set-up without a person: for the command `check`, and in the log at start.
//!
//! Nothing is changed anywhere: Postgres is only read, Postiz is asked for what it tells anyone, and the client secret is
//! tried with a made-up authorization code.

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
use crate::db::{self, Database};
use crate::outbound::{self, SetupError};
use crate::postiz::Postiz;
use crate::store;

pub use configuration::problems;
pub use report::{Finding, Report, Verdict};

/// For a database that starts together with this server.
const DATABASE_START: Duration = Duration::from_secs(30);
/// A load balancer takes a while to send requests to a new replica; until then `SERVER_URL` seems broken.
const TRIES: usize = 4;
const RETRY_DELAY: Duration = Duration::from_secs(15);

/// Takes ten seconds at most.
pub async fn run(config: &Config) -> Result<Report, SetupError> {
    let http = outbound::client()?;
    let ((backends, database), reached) = tokio::join!(backends(config, &http), server_url::reach(config, &http));
    let findings = [configuration::warnings(config), server_url::findings(config, &reached, database), backends];
    Ok(Report::new(findings.concat()))
}

/// Runs all checks in the background once the server serves, and logs warnings and failures.
pub async fn at_start(config: Config, database: Database, http: reqwest::Client, stopping: CancellationToken) {
    let work = async {
        let _ = timeout(DATABASE_START, database.migrated()).await;
        let (backends, database) = backends(&config, &http).await;
        Report::new(backends).log("Postgres and Postiz");
        let mut tries = 1;
        loop {
            let reached = server_url::reach(&config, &http).await;
            let report = Report::new(server_url::findings(&config, &reached, database));
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

/// Postgres and Postiz; and the fingerprint of our database.
async fn backends(config: &Config, http: &reqwest::Client) -> (Vec<Finding>, Option<i64>) {
    let postiz = Postiz::new(config, http.clone());
    let (inspected, answers) = tokio::join!(db::inspect(&config.database, store::TABLES), postiz::ask(&postiz));
    let findings = [postgres::findings(config, &inspected), postiz::findings(config, &answers)].concat();
    (findings, inspected.ok().and_then(|found| found.fingerprint))
}
