//! What is right and wrong with a set-up, found out without a person: for `check`, and in the log at start.
//!
//! Nothing is changed anywhere: Postgres is only read, Postiz is asked what it tells anyone, and the
//! authorization code that the client secret is tried with is made up.

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

/// A database that starts together with this server is given so long.
const DATABASE_STARTS: Duration = Duration::from_secs(30);
/// A load balancer takes a while to send requests to a new replica: until then `SERVER_URL` seems broken.
const TRIES: usize = 4;
const BETWEEN_TRIES: Duration = Duration::from_secs(15);

/// Looks at everything; takes at most about ten seconds.
pub async fn run(config: &Config) -> Result<Report, SetupError> {
    let http = outbound::client()?;
    let ((neighbours, database), reached) = tokio::join!(neighbours(config, &http), server_url::reach(config, &http));
    let findings = [configuration::doubts(config), server_url::findings(config, &reached, database), neighbours];
    Ok(Report::new(findings.concat()))
}

/// Looks at everything once the server serves, and says in the log what is not right. Delays nothing
/// and stops nothing.
pub async fn at_start(config: Config, database: Database, http: reqwest::Client, stopping: CancellationToken) {
    let work = async {
        let _ = timeout(DATABASE_STARTS, database.migrated()).await;
        let (neighbours, database) = neighbours(&config, &http).await;
        Report::new(neighbours).log("Postgres and Postiz");
        let mut tries = 1;
        loop {
            let reached = server_url::reach(&config, &http).await;
            let report = Report::new(server_url::findings(&config, &reached, database));
            if report.verdict != Verdict::Wrong || tries == TRIES {
                return report.log("SERVER_URL");
            }
            tries += 1;
            sleep(BETWEEN_TRIES).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stopping.cancelled() => {}
    }
}

/// Postgres and Postiz; and what tells our database from others.
async fn neighbours(config: &Config, http: &reqwest::Client) -> (Vec<Finding>, Option<i64>) {
    let postiz = Postiz::new(config, http.clone());
    let (looked, answers) = tokio::join!(db::inspect(&config.database, store::TABLES), postiz::ask(&postiz));
    let findings = [postgres::findings(config, &looked), postiz::findings(config, &answers)].concat();
    (findings, looked.ok().and_then(|found| found.fingerprint))
}
