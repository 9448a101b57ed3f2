//! Which failures are logged again, when the same ones repeat twice a second.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Until a failure that lasts is logged for the second time. It doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(15);
/// Texts that are remembered. A failure has few of them; with more, each may be logged once more.
const MAX_TEXTS: usize = 32;

/// The failures that were logged, by their text.
#[derive(Debug, Default)]
pub(super) struct Repeats(HashMap<String, Said>);

#[derive(Debug)]
struct Said {
    again_at: Instant,
    interval: Duration,
}

impl Repeats {
    /// Whether a failure with this text is logged now: at once if it is new, then at growing intervals.
    pub(super) fn is_due(&mut self, text: &str, now: Instant) -> bool {
        if let Some(said) = self.0.get_mut(text) {
            let is_due = now >= said.again_at;
            if is_due {
                said.interval = (said.interval * 2).min(LONGEST);
                said.again_at = now + said.interval;
            }
            return is_due;
        }
        if self.0.len() == MAX_TEXTS {
            self.0.clear();
        }
        self.0.insert(text.to_owned(), Said { again_at: now + FIRST, interval: FIRST });
        true
    }

    /// Forgets all: the failure is over, and the next one is new.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which a failure is logged that repeats twice a second for an hour.
    fn logged(repeats: &mut Repeats, text: &str, begin: Instant) -> Vec<u64> {
        let half_seconds = (0..7200).map(|n| Duration::from_millis(n * 500));
        half_seconds.filter(|since| repeats.is_due(text, begin + *since)).map(|since| since.as_secs()).collect()
    }

    #[test]
    fn a_failure_that_lasts_is_logged_at_growing_intervals() {
        let (mut repeats, begin) = (Repeats::default(), Instant::now());
        assert_eq!(logged(&mut repeats, "a", begin), [0, 10, 30, 70, 150, 310, 630, 1270, 2170, 3070]);
    }

    #[test]
    fn a_new_text_is_logged_at_once_and_so_is_the_old_one_after_a_recovery() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        assert!(repeats.is_due("a", now) && repeats.is_due("b", now));
        assert!(!repeats.is_due("a", now) && !repeats.is_due("b", now));
        repeats.clear();
        assert!(repeats.is_due("a", now));
    }

    #[test]
    fn memory_is_bounded_if_each_text_is_another() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        for n in 0..1000 {
            assert!(repeats.is_due(&n.to_string(), now));
        }
        assert!(repeats.0.len() <= MAX_TEXTS);
    }
}
