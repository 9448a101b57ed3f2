//! Medians, spreads and percentiles.

use std::fmt;
use std::time::Duration;

/// A figure that was measured several times in one run.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
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

    /// The ratio of each round to the same round of the other sample.
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, another)| one / another).collect())
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
        let sorted = self.sorted();
        let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return f.write_str("none") };
        write!(f, "{} ({} to {})", number(self.median()), number(*first), number(*last))
    }
}

/// `31,204`, `12.3` or `0.83`: three significant digits, or all before the point.
pub fn number(value: f64) -> String {
    if value >= 1000.0 {
        let whole = format!("{value:.0}");
        let groups: Vec<&str> = whole.as_bytes().rchunks(3).rev().flat_map(std::str::from_utf8).collect();
        groups.join(",")
    } else if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// `12` or `31,204`
pub fn count(count: usize) -> String {
    if count < 1000 { count.to_string() } else { number(count as f64) }
}

#[derive(Debug, Clone, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }

    /// `p50 3.1 ms, p99 8.2 ms`
    pub fn p50_and_p99(&self) -> String {
        format!("p50 {} ms, p99 {} ms", number(self.percentile(50)), number(self.percentile(99)))
    }

    pub fn p99_over_p50(&self) -> f64 {
        self.percentile(99) / self.percentile(50)
    }
}
