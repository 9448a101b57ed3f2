//! Checks a set-up without a person: for the command `check`, and in the log at the start.
//!
//! It reads what PostgreSQL and Postiz tell anyone, and tries the client secret with a made-up authorization code. The command
//! does three things more: it opens a login through `SERVER_URL` and deletes it, fetches a page there, and registers a client at
//! Postiz that nobody uses. A question that can't be answered from this machine is skipped with the reason: a wrong verdict
//! sends an operator to a place where nothing is broken.

mod page;
mod postgres;
mod postiz;
mod report;
mod server_url;

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Problem, Problems};
use crate::db::{self, Database};
use crate::outbound::{self, SetupError};
use crate::postiz::Postiz;

pub use report::{Finding, Report, Verdict};

/// For a database that starts together with this server.
const DATABASE_START: Duration = Duration::from_secs(30);
const CONFIGURATION: &str = "configuration";

/// Takes at most 20 s: each part has timeouts, and the longest, Postiz, takes two of 6 s.
pub async fn run(config: &Config) -> Result<Report, SetupError> {
    let http = outbound::client()?;
    let postiz = Postiz::new(config, http.clone());
    let (inspected, server_url, postiz) = tokio::join!(
        db::inspect(&config.database),
        server_url::findings(config, &http),
        postiz::findings(config, &postiz, true),
    );
    let findings = [configuration(config), server_url, postgres::findings(config, &inspected), postiz];
    Ok(Report::new(findings.concat()))
}

/// Checks what can be read, in the background once the server serves, and logs warnings and failures.
pub async fn at_start(config: Config, database: Database, http: reqwest::Client, stopping: CancellationToken) {
    let work = async {
        let _ = timeout(DATABASE_START, database.migrated()).await;
        let postiz = Postiz::new(&config, http);
        let (inspected, postiz) =
            tokio::join!(db::inspect(&config.database), postiz::findings(&config, &postiz, false));
        let findings = [vec![server_url::https(&config)], postgres::findings(&config, &inspected), postiz];
        Report::new(findings.concat()).log();
    };
    stopping.run_until_cancelled(work).await;
}

/// The report if a variable can't be used; then nothing else can be checked.
pub fn problems(problems: &Problems) -> Report {
    let findings = problems.0.iter().map(|Problem { variable, why }| {
        Finding::fail(
            CONFIGURATION,
            format!("{variable} {why}."),
            "Write it as docs/reference.md and .env.example say.",
        )
    });
    Report::new(findings.collect())
}

fn configuration(config: &Config) -> Vec<Finding> {
    let warnings = config.warnings().into_iter().chain(outbound::unreadable_authorities());
    let mut findings: Vec<_> = warnings
        .map(|warning| Finding::warn(CONFIGURATION, format!("{warning}."), "Correct the variable; see .env.example."))
        .collect();
    if findings.is_empty() {
        findings.push(Finding::ok(CONFIGURATION, format!("All {} variables can be used.", Config::VARIABLES.len())));
    }
    findings
}
