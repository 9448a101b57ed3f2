//! The variables: each problem, or what is doubtful about those that can be used.

use crate::check::report::{Finding, Report};
use crate::config::{Config, Problems, Variable};

const CHECK: &str = "configuration";

/// The report where the variables can't be used; then nothing else can be looked at.
pub fn problems(problems: &Problems) -> Report {
    Report::new(
        problems
            .all()
            .iter()
            .map(|problem| {
                let Variable { name, description, allowed, example, .. } = problem.variable;
                let found = problem.found.as_ref().map(|found| format!(": {found:?}")).unwrap_or_default();
                Finding::wrong(
                    CHECK,
                    format!("{name} {}{found}.", problem.why),
                    format!("{description} The server does not start without it."),
                    format!("Allowed: {allowed}. Example: {name}={example}"),
                )
            })
            .collect(),
    )
}

/// What the start warns of.
pub(super) fn doubts(config: &Config) -> Vec<Finding> {
    let mut findings: Vec<_> = config
        .warnings
        .iter()
        // Looked at more closely by the checks of that name.
        .filter(|warning| !warning.starts_with("SERVER_URL"))
        .map(|warning| {
            Finding::doubtful(
                CHECK,
                format!("{warning}."),
                "The server starts with it, and it is hardly what is meant.",
                "Set the variable as README.md and .env.example describe it.",
            )
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::right(CHECK, format!("All {} variables can be used.", Config::VARIABLES.len())));
    }
    findings
}
