//! What was found, for people and for machines.

use std::fmt;

use serde::Serialize;
use tracing::{error, info, warn};

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Right,
    /// Could not be told, because something else is wrong.
    Unknown,
    /// Works, and is hardly what the operator wants.
    Doubtful,
    /// Keeps logins from working, or from being safe.
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What was looked at, for machines: `postgres.tls`.
    pub check: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, in one sentence.
    pub what: String,
    /// Why that matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn right(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Right, what: what.into(), why: None, mend: None }
    }

    /// Nothing can be said as long as something else is wrong.
    pub fn unknown(check: &'static str, what: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown, ..Self::right(check, what) }
    }

    /// It works, and should be looked at.
    pub fn doubtful(
        check: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Doubtful, ..Self::wrong(check, what, why, mend) }
    }

    /// It has to be mended.
    pub fn wrong(
        check: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        let (why, mend) = (Some(why.into()), Some(mend.into()));
        Self { check, verdict: Verdict::Wrong, what: what.into(), why, mend }
    }
}

/// All that was looked at. Holds no secret.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The worst verdict.
    pub verdict: Verdict,
    /// Each of them, in the order in which they are to be read.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Takes them together.
    pub fn new(findings: Vec<Finding>) -> Self {
        let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Right);
        Self { verdict, findings }
    }

    /// Says in the log what is not right; that `subject` is, where all of it is.
    pub fn log(&self, subject: &str) {
        for Finding { check, verdict, what, why, mend } in &self.findings {
            let (why, mend) = (why.as_deref(), mend.as_deref());
            match verdict {
                Verdict::Right | Verdict::Unknown => {}
                Verdict::Doubtful => warn!(check, why, mend, "{what}"),
                Verdict::Wrong => error!(check, why, mend, "{what}"),
            }
        }
        if self.verdict == Verdict::Right {
            info!("checked {subject}: all is right");
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Right => "right",
            Verdict::Unknown => "?",
            Verdict::Doubtful => "doubt",
            Verdict::Wrong => "WRONG",
        };
        write!(f, "{verdict:<6} {:<20} {}", self.check, self.what)?;
        for (heading, text) in [("why:", &self.why), ("mend:", &self.mend)] {
            if let Some(text) = text {
                write!(f, "\n{:<27} {heading:<5} {text}", "")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let count = |verdict| self.findings.iter().filter(|finding| finding.verdict == verdict).count();
        match (count(Verdict::Wrong), count(Verdict::Doubtful)) {
            (0, 0) if self.verdict == Verdict::Right => writeln!(f, "\nAll is right."),
            (0, doubts) => writeln!(f, "\nNothing is wrong; doubtful: {doubts}."),
            (wrong, doubts) => writeln!(f, "\nWrong: {wrong}; doubtful: {doubts}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_is_the_reports_verdict() {
        let right = || Finding::right("a", "");
        assert_eq!(Report::new(vec![right()]).verdict, Verdict::Right);
        assert_eq!(Report::new(vec![right(), Finding::unknown("b", "")]).verdict, Verdict::Unknown);
        let findings = vec![Finding::wrong("c", "", "", ""), right(), Finding::doubtful("d", "", "", "")];
        assert_eq!(Report::new(findings).verdict, Verdict::Wrong);
    }
}
