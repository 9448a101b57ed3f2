//! Which failures are logged again, when the same ones repeat many times a second.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// The time until a failure that lasts is logged for the second time. It doubles up to [`LONGEST_INTERVAL`].
const FIRST_INTERVAL: Duration = Duration::from_secs(10);
const LONGEST_INTERVAL: Duration = Duration::from_mins(15);
/// Texts that are remembered. A failure has few of them. With more, each may be logged once more.
const MAX_TEXTS: usize = 32;

/// For each failure that was logged, by its text: when it is due again, and the interval after that.
#[derive(Debug, Default)]
pub struct Throttle(HashMap<String, (Instant, Duration)>);

impl Throttle {
    /// Whether a failure with this text is logged now: at once if it is new, then at growing intervals.
    pub fn is_due(&mut self, text: &str, now: Instant) -> bool {
        if let Some((due_at, interval)) = self.0.get_mut(text) {
            let is_due = now >= *due_at;
            if is_due {
                *interval = (*interval * 2).min(LONGEST_INTERVAL);
                *due_at = now + *interval;
            }
            return is_due;
        }
        if self.0.len() == MAX_TEXTS {
            self.0.clear();
        }
        self.0.insert(text.to_owned(), (now + FIRST_INTERVAL, FIRST_INTERVAL));
        true
    }

    /// Forgets all: the failure is over, and the next one is new.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which a failure is logged that repeats twice a second for an hour.
    fn logged(throttle: &mut Throttle, text: &str, begin: Instant) -> Vec<u64> {
        let half_seconds = (0..7200).map(|n| Duration::from_millis(n * 500));
        half_seconds.filter(|since| throttle.is_due(text, begin + *since)).map(|since| since.as_secs()).collect()
    }

    #[test]
    fn a_failure_that_lasts_is_logged_at_growing_intervals() {
        let (mut throttle, begin) = (Throttle::default(), Instant::now());
        assert_eq!(logged(&mut throttle, "a", begin), [0, 10, 30, 70, 150, 310, 630, 1270, 2170, 3070]);
    }

    #[test]
    fn a_new_text_is_logged_at_once_and_so_is_the_old_one_after_a_recovery() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        assert!(throttle.is_due("a", now) && throttle.is_due("b", now));
        assert!(!throttle.is_due("a", now) && !throttle.is_due("b", now));
        throttle.clear();
        assert!(throttle.is_due("a", now));
    }

    #[test]
    fn memory_is_bounded_if_each_text_is_another() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..1000 {
            assert!(throttle.is_due(&n.to_string(), now));
        }
        assert!(throttle.0.len() <= MAX_TEXTS);
    }
}
