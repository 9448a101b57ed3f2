//! The variables.

use crate::check::report::{Finding, Report};
use crate::config::{Config, Problems, Variable};

const CHECK: &str = "configuration";

/// The report if a variable can't be used; then nothing else can be checked.
pub fn problems(problems: &Problems) -> Report {
    let findings = problems.all().iter().map(|problem| {
        let Variable { name, description, allowed, example, .. } = problem.variable;
        let found = problem.found.as_ref().map(|found| format!(": {found:?}")).unwrap_or_default();
        let consequence = if problem.variable.is_required() {
            "The server does not start without it."
        } else {
            "The server does not start until it is fixed or removed."
        };
        let fix = format!("Allowed: {allowed}. Example: {name}={example}");
        Finding::fail(CHECK, format!("{name} {}{found}.", problem.why), format!("{description} {consequence}"), fix)
    });
    Report::new(findings.collect())
}

pub(super) fn warnings(config: &Config) -> Vec<Finding> {
    // Those about SERVER_URL have checks of their own, which look more closely.
    let warnings = config.warnings.iter().filter(|warning| !warning.starts_with("SERVER_URL"));
    let mut findings: Vec<_> = warnings
        .map(|warning| {
            Finding::warn(
                CHECK,
                format!("{warning}."),
                "The server starts with it, but it is probably not what you want.",
                "Set the variable as .env.example describes it.",
            )
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, format!("All {} variables can be used.", Config::VARIABLES.len())));
    }
    findings
}
