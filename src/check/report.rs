//! The findings, for people and for machines.

use serde::Serialize;
use textwrap::{Options, WordSplitter};
use tracing::{error, info, warn};

/// Ordered by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    /// Not checked, because something else has to work first.
    Skipped,
    /// Works, but is probably not what the operator wants.
    Warn,
    /// Keeps logins from working, or from being safe.
    Fail,
}

#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// For machines: `postgres.tls`.
    pub check: &'static str,
    pub verdict: Verdict,
    /// One sentence.
    pub what: String,
    /// Why it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// A question that is asked of a set-up, with the reason why its answer matters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) why: &'static str,
}

impl Check {
    pub(super) const fn new(name: &'static str, why: &'static str) -> Self {
        Self { name, why }
    }

    pub(super) fn ok(self, what: impl Into<String>) -> Finding {
        Finding { check: self.name, verdict: Verdict::Ok, what: what.into(), why: None, fix: None }
    }

    pub(super) fn skipped(self, because: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Skipped, ..self.ok(because) }
    }

    pub(super) fn warn(self, what: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Warn, ..self.fail(what, fix) }
    }

    pub(super) fn fail(self, what: impl Into<String>, fix: impl Into<String>) -> Finding {
        let (why, fix) = (Some(self.why.to_owned()), Some(fix.into()));
        Finding { verdict: Verdict::Fail, why, fix, ..self.ok(what) }
    }
}

impl Finding {
    /// Lines of at most `width` columns, except for words that are longer, such as URLs.
    fn to_text(&self, width: usize) -> String {
        const INDENT: usize = 8;
        const HEADING: usize = 5;
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Skipped => "skipped",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        let wrapped = |first: &str, text: &str, indent: usize| {
            let rest = " ".repeat(indent);
            let options = Options::new(width).initial_indent(first).subsequent_indent(&rest).break_words(false);
            textwrap::fill(text, options.word_splitter(WordSplitter::NoHyphenation))
        };
        let mut lines = vec![wrapped(&format!("{verdict:<INDENT$}{:<25} ", self.check), &self.what, INDENT)];
        for (heading, text) in [("why:", &self.why), ("fix:", &self.fix)] {
            if let Some(text) = text {
                let first = format!("{:INDENT$}{heading:<HEADING$}", "");
                lines.push(wrapped(&first, text, INDENT + HEADING));
            }
        }
        lines.join("\n")
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

    /// Logs each warning and failure; if everything is ok, one line that says so of `subject`.
    pub fn log(&self, subject: &str) {
        for Finding { check, verdict, what, why, fix } in &self.findings {
            let (why, fix) = (why.as_deref(), fix.as_deref());
            match verdict {
                Verdict::Ok | Verdict::Skipped => {}
                Verdict::Warn => warn!(check, why, fix, "{what}"),
                Verdict::Fail => error!(check, why, fix, "{what}"),
            }
        }
        if self.verdict == Verdict::Ok {
            info!("checked {subject}: ok");
        }
    }

    /// For people; `width` is the terminal's, in columns.
    pub fn to_text(&self, width: usize) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            text.push_str(&finding.to_text(width));
            text.push('\n');
        }
        let count = |verdict| self.findings.iter().filter(|finding| finding.verdict == verdict).count();
        let counted = [(Verdict::Fail, "failed"), (Verdict::Warn, "warnings"), (Verdict::Skipped, "skipped")];
        let counted = counted.map(|(verdict, word)| (count(verdict), word)).into_iter().filter(|(count, _)| *count > 0);
        let summary: Vec<_> = counted.map(|(count, word)| format!("{word}: {count}")).collect();
        text.push('\n');
        text.push_str(&if summary.is_empty() { "Everything is ok.".to_owned() } else { summary.join(", ") });
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: Check = Check::new("server_url.client_address", "It matters.");

    #[test]
    fn the_worst_finding_is_the_reports_verdict() {
        let ok = || CHECK.ok("");
        assert_eq!(Report::new(vec![ok()]).verdict, Verdict::Ok);
        assert_eq!(Report::new(vec![ok(), CHECK.skipped("")]).verdict, Verdict::Skipped);
        assert_eq!(Report::new(vec![CHECK.fail("", ""), ok(), CHECK.warn("", "")]).verdict, Verdict::Fail);
    }

    #[test]
    fn the_text_is_wrapped_at_the_width_and_ends_with_a_summary() {
        let url = format!("https://{}.example.com", "long-".repeat(20));
        let findings =
            vec![CHECK.fail("It answers slowly. ".repeat(9), url.clone()), CHECK.warn("b", "d"), CHECK.skipped("f")];
        let text = Report::new(findings).to_text(80);
        assert!(text.starts_with("FAIL    server_url.client_address It answers slowly."), "{text}");
        let long: Vec<_> = text.lines().filter(|line| line.len() > 80).map(str::trim).collect();
        assert_eq!(long, [format!("fix: {url}")], "only words that can't be broken are longer: {text}");
        assert!(text.contains("why: It matters.") && text.contains("fix: d"), "{text}");
        assert!(text.ends_with("\nfailed: 1, warnings: 1, skipped: 1\n"), "{text}");
    }

    #[test]
    fn a_report_without_complaints_says_so() {
        assert!(Report::new(vec![CHECK.ok("b")]).to_text(80).ends_with("\n\nEverything is ok.\n"));
    }
}
