//! The table of a run: one row for each figure, with its target.

use std::fmt;
use std::time::Duration;

pub const HEAD: &str = "| figure | this server | Node server | ratio | target | note |\n|---|---|---|---|---|---|";

/// A figure that was measured several times.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<f64>);

#[derive(Debug, Clone, Copy)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// The Node server's figure times this, at most or at least.
    AtMostNode(f64),
    AtLeastNode(f64),
    Stated,
}

pub struct Row {
    figure: String,
    unit: &'static str,
    ours: Sample,
    node: Option<Sample>,
    target: Target,
    note: String,
}

impl Sample {
    pub fn of(value: f64) -> Self {
        Self(vec![value])
    }

    pub fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn add_time(&mut self, time: Duration) {
        self.add(time.as_secs_f64() * 1000.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            length if length % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        }
    }

    pub fn most(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// The median, and the smallest and largest: `31,200 (30,900 to 31,800)`.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sorted()[..] {
            [] => f.write_str("none"),
            [single] => f.write_str(&number(single)),
            [first, .., last] => write!(f, "{} ({} to {})", number(self.median()), number(first), number(last)),
        }
    }
}

impl Row {
    /// `columns`: this server's, then the Node server's if it was measured.
    pub fn new(
        figure: impl Into<String>,
        unit: &'static str,
        columns: impl IntoIterator<Item = Sample>,
        target: Target,
    ) -> Self {
        let mut columns = columns.into_iter();
        let ours = columns.next().unwrap_or_default();
        Self { figure: figure.into(), unit, ours, node: columns.next(), target, note: String::new() }
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Of the medians.
    fn ratio(&self) -> Option<f64> {
        Some(self.ours.median() / self.node.as_ref()?.median())
    }

    /// Whether the target is met; `None` if there is none, or nothing to compare with.
    pub fn verdict(&self) -> Option<bool> {
        if self.ours.len() == 0 {
            return None;
        }
        let ours = self.ours.median();
        match self.target {
            Target::AtMost(most) => Some(ours <= most),
            Target::AtLeast(least) => Some(ours >= least),
            Target::AtMostNode(most) => self.ratio().map(|ratio| ratio <= most),
            Target::AtLeastNode(least) => self.ratio().map(|ratio| ratio >= least),
            Target::Stated => None,
        }
    }

    pub fn is_unmeasured(&self) -> bool {
        self.verdict().is_none() && !matches!(self.target, Target::Stated)
    }
}

/// As a row in Markdown.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { figure, unit, note, .. } = self;
        let [ours, node] = [Some(&self.ours), self.node.as_ref()].map(|sample| match sample {
            Some(sample) if sample.len() > 0 => format!("{sample}{unit}"),
            Some(_) | None => "–".to_owned(),
        });
        let ratio = self.ratio().map_or_else(|| "–".to_owned(), number);
        let target = match self.target {
            Target::AtMost(most) => format!("≤ {}{unit}", number(most)),
            Target::AtLeast(least) => format!("≥ {}{unit}", number(least)),
            Target::AtMostNode(most) => format!("ratio ≤ {}", number(most)),
            Target::AtLeastNode(least) => format!("ratio ≥ {}", number(least)),
            Target::Stated => "stated".to_owned(),
        };
        let verdict = match self.verdict() {
            Some(true) => ": met",
            Some(false) => ": **missed**",
            None if self.is_unmeasured() => ": not measured",
            None => "",
        };
        write!(f, "| {figure} | {ours} | {node} | {ratio} | {target}{verdict} | {note} |")
    }
}

/// `31,204`, `12.3` or `0.83`: three significant digits, or all before the point.
pub fn number(value: f64) -> String {
    if value >= 1000.0 {
        let whole = format!("{value:.0}");
        let groups: Vec<&str> = whole.as_bytes().rchunks(3).rev().flat_map(std::str::from_utf8).collect();
        groups.join(",")
    } else if value >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else if value >= 0.1 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}
