//! Which failures are logged again, when the same ones repeat many times a second.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// The time until a failure that lasts is logged for the second time. It doubles up to [`LONGEST_INTERVAL`].
const FIRST_INTERVAL: Duration = Duration::from_secs(10);
const LONGEST_INTERVAL: Duration = Duration::from_mins(15);
/// Texts that are remembered. A failure has few of them. With more, each may be logged once more.
const MAX_TEXTS: usize = 32;

/// For each failure that was logged, by its text.
#[derive(Debug, Default)]
pub struct Throttle(HashMap<String, Logged>);

#[derive(Debug)]
struct Logged {
    due_at: Instant,
    interval: Duration,
    repeats: u64,
}

impl Throttle {
    /// How often a failure with this text came since it was logged last, if it is logged now: at once if it is new, then at growing
    /// intervals.
    pub fn due(&mut self, text: &str, now: Instant) -> Option<u64> {
        if let Some(logged) = self.0.get_mut(text) {
            logged.repeats += 1;
            if now < logged.due_at {
                return None;
            }
            logged.interval = (logged.interval * 2).min(LONGEST_INTERVAL);
            logged.due_at = now + logged.interval;
            return Some(std::mem::take(&mut logged.repeats));
        }
        if self.0.len() == MAX_TEXTS {
            self.0.clear();
        }
        let logged = Logged { due_at: now + FIRST_INTERVAL, interval: FIRST_INTERVAL, repeats: 0 };
        self.0.insert(text.to_owned(), logged);
        Some(0)
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
        half_seconds.filter(|since| throttle.due(text, begin + *since).is_some()).map(|since| since.as_secs()).collect()
    }

    #[test]
    fn a_failure_that_lasts_is_logged_at_growing_intervals() {
        let (mut throttle, begin) = (Throttle::default(), Instant::now());
        assert_eq!(logged(&mut throttle, "a", begin), [0, 10, 30, 70, 150, 310, 630, 1270, 2170, 3070]);
    }

    #[test]
    fn a_new_text_is_logged_at_once_and_so_is_the_old_one_after_a_recovery() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        assert!(throttle.due("a", now).is_some() && throttle.due("b", now).is_some());
        assert!(throttle.due("a", now).is_none() && throttle.due("b", now).is_none());
        throttle.clear();
        assert!(throttle.due("a", now).is_some());
    }

    #[test]
    fn memory_is_bounded_if_each_text_is_another() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..1000 {
            assert!(throttle.due(&n.to_string(), now).is_some());
        }
        assert!(throttle.0.len() <= MAX_TEXTS);
    }

    #[test]
    fn what_was_left_out_is_summed_up() {
        let (mut throttle, begin) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.due("a", begin), Some(0));
        assert!((0..5).all(|_| throttle.due("a", begin).is_none()));
        assert_eq!(throttle.due("a", begin + FIRST_INTERVAL), Some(6));
    }
}
