//! The findings, for people and for machines.

use serde::Serialize;
use strum::Display;
use textwrap::{Options, WordSplitter};
use tracing::{error, warn};

/// Ordered by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Display, Serialize)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Verdict {
    Ok,
    /// It can't be known from this machine, or now.
    Skipped,
    /// Works, but is probably not what the operator wants.
    Warn,
    /// Keeps logins from working, or from being safe.
    #[strum(to_string = "FAIL")]
    Fail,
}

#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// For machines: `postgres.tls`.
    pub check: &'static str,
    pub verdict: Verdict,
    /// One sentence.
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, what: what.into(), fix: None }
    }

    pub(super) fn skipped(check: &'static str, because: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, ..Self::ok(check, because) }
    }

    pub(super) fn warn(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, fix: Some(fix.into()), ..Self::ok(check, what) }
    }

    pub(super) fn fail(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, ..Self::warn(check, what, fix) }
    }
}

/// Holds no secret.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The worst verdict.
    pub verdict: Verdict,
    pub findings: Vec<Finding>,
}

impl Report {
    pub fn new(findings: Vec<Finding>) -> Self {
        let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
        Self { verdict, findings }
    }

    /// Logs each warning and failure.
    pub fn log(&self) {
        for Finding { check, verdict, what, fix } in &self.findings {
            match verdict {
                Verdict::Ok | Verdict::Skipped => {}
                Verdict::Warn => warn!(check, fix, "{what}"),
                Verdict::Fail => error!(check, fix, "{what}"),
            }
        }
    }

    /// For people; `width` is the terminal's, in columns. Only words are longer, such as URLs.
    pub fn to_text(&self, width: usize) -> String {
        const INDENT: &str = "        ";
        let options = Options::new(width).subsequent_indent(INDENT).break_words(false);
        let options = options.word_splitter(WordSplitter::NoHyphenation);
        let mut text = String::new();
        for Finding { check, verdict, what, fix } in &self.findings {
            text += &textwrap::fill(&format!("{verdict:<8}{check:<25} {what}\n"), &options);
            if let Some(fix) = fix {
                text += &textwrap::fill(&format!("{INDENT}fix: {fix}\n"), &options);
            }
        }
        let count = |verdict| self.findings.iter().filter(|finding| finding.verdict == verdict).count();
        let [failed, warnings, skipped] = [Verdict::Fail, Verdict::Warn, Verdict::Skipped].map(count);
        text + &match self.verdict {
            Verdict::Ok => "\nEverything is ok.\n".to_owned(),
            _ => format!("\nfailed: {failed}, warnings: {warnings}, skipped: {skipped}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: &str = "server_url.client_address";

    #[test]
    fn the_worst_finding_is_the_reports_verdict() {
        let (ok, skipped) = (Finding::ok(CHECK, ""), Finding::skipped(CHECK, ""));
        let (warn, fail) = (Finding::warn(CHECK, "", ""), Finding::fail(CHECK, "", ""));
        assert_eq!(Report::new(vec![ok.clone()]).verdict, Verdict::Ok);
        assert_eq!(Report::new(vec![ok.clone(), skipped]).verdict, Verdict::Skipped);
        assert_eq!(Report::new(vec![fail, ok, warn]).verdict, Verdict::Fail);
    }

    #[test]
    fn the_text_is_wrapped_at_the_width_and_ends_with_a_summary() {
        let url = format!("https://{}.example.com", "long-".repeat(20));
        let findings = vec![
            Finding::fail(CHECK, "It answers slowly. ".repeat(9).trim(), format!("Look at {url}")),
            Finding::warn(CHECK, "b", "d"),
            Finding::skipped(CHECK, "f"),
        ];
        let text = Report::new(findings).to_text(80);
        assert!(text.starts_with("FAIL    server_url.client_address It answers slowly."), "{text}");
        let long: Vec<_> = text.lines().filter(|line| line.len() > 80).map(str::trim).collect();
        assert_eq!(long, [&url], "only words that can't be broken are longer: {text}");
        assert!(text.contains("\n        fix: Look at\n") && text.contains("\n        fix: d\n"), "{text}");
        assert!(text.ends_with("\nfailed: 1, warnings: 1, skipped: 1\n"), "{text}");
        assert!(Report::new(vec![Finding::ok(CHECK, "b")]).to_text(80).ends_with("\n\nEverything is ok.\n"));
    }
}
