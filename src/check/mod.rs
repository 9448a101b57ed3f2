//! Checks a set-up without a person: for the command `check`, and in the log at the start.
//!
//! It reads what PostgreSQL and Postiz tell anyone, and tries the client secret with a made-up authorization code. The command
//! does three things more: it opens a login through `SERVER_URL` and deletes it, fetches a page there, and registers a client at
//! Postiz that nobody uses. A question that can't be answered from this machine is skipped with the reason: a wrong verdict
//! sends an operator to a place where nothing is broken.

mod client_address;
mod page;
mod postgres;
mod postiz;
mod report;
mod server_url;
mod trial_login;

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Problem, Problems};
use crate::db::{self, Database};
use crate::outbound::{self, SetupError};
use crate::postiz::Postiz;

use postiz::Probe;
use report::Check;

pub use report::{Finding, Report, Verdict};

/// For a database that starts together with this server.
const DATABASE_START: Duration = Duration::from_secs(30);

const CONFIGURATION: Check =
    Check::new("configuration", "The server starts with it, but it is probably not what you want.");

/// Takes at most 20 s: each part has timeouts, and the longest, Postiz, takes two of 6 s.
pub async fn run(config: &Config) -> Result<Report, SetupError> {
    let http = outbound::client()?;
    let postiz = Postiz::new(config, http.clone());
    let (inspected, reached, postiz) = tokio::join!(
        db::inspect(&config.database),
        server_url::reach(config, &http),
        postiz::findings(&postiz, config, Probe::Register),
    );
    let server_url = server_url::findings(config, &reached, inspected.as_ref().ok()).await;
    let findings = [warnings(config), server_url, postgres::findings(config, &inspected), postiz];
    Ok(Report::new(findings.concat()))
}

/// Checks what can be read, in the background once the server serves, and logs warnings and failures.
pub async fn at_start(config: Config, database: Database, http: reqwest::Client, stopping: CancellationToken) {
    let work = async {
        let _ = timeout(DATABASE_START, database.migrated()).await;
        let postiz = Postiz::new(&config, http);
        let asking = postiz::findings(&postiz, &config, Probe::OnlyLook);
        let (inspected, postiz) = tokio::join!(db::inspect(&config.database), asking);
        let findings = [vec![server_url::https(&config)], postgres::findings(&config, &inspected), postiz];
        Report::new(findings.concat()).log("SERVER_URL, PostgreSQL and Postiz");
    };
    stopping.run_until_cancelled(work).await;
}

/// The report if a variable can't be used; then nothing else can be checked.
pub fn problems(problems: &Problems) -> Report {
    let findings = problems.0.iter().map(|Problem { variable, why }| Finding {
        why: Some("The server does not start until it is fixed.".to_owned()),
        ..CONFIGURATION.fail(format!("{variable} {why}."), "Write it as docs/reference.md and .env.example say.")
    });
    Report::new(findings.collect())
}

fn warnings(config: &Config) -> Vec<Finding> {
    let warnings = config.warnings().into_iter();
    let warnings =
        warnings.map(|warning| CONFIGURATION.warn(format!("{warning}."), "Set the variable as .env.example says."));
    let authorities = outbound::unreadable_authorities().into_iter().map(|warning| {
        let why = "Certificates of a private authority are refused: those of Postiz or of SERVER_URL, for example.";
        let fix = "Put PEM files there that the server may read.";
        Finding { why: Some(why.to_owned()), ..CONFIGURATION.warn(format!("{warning}."), fix) }
    });
    let findings: Vec<_> = warnings.chain(authorities).collect();
    if findings.is_empty() {
        vec![CONFIGURATION.ok(format!("All {} variables can be used.", Config::VARIABLES.len()))]
    } else {
        findings
    }
}
