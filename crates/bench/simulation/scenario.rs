//! The assumptions: how many people sign in, and how long they take.

/// `DEVICE_CODE_TTL`.
pub const LIFETIME: usize = 900;

/// Each number can be set on the command line.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Logins opened in the busiest hour.
    pub peak_per_hour: f64,
    /// The quietest hour's share of that.
    pub quiet_share: f64,
    /// Seconds in which half of the approving people approve.
    pub median_seconds: f64,
    /// The share of logins that are never approved and stay pending until they expire.
    pub abandoned: f64,
    pub replicas: f64,
    /// The most polls that a replica holds.
    pub most_held: f64,
    /// `LONG_POLL_SECONDS`.
    pub hold: f64,
    /// Seconds that a terminal sleeps before each poll if polls are held.
    pub interval_held: f64,
    /// The same if polls are not held.
    pub interval_plain: f64,
    /// The share of polls that reach the same replica as the one before: 0 if the balancer spreads requests.
    pub affinity: f64,
    /// The round trip to Postgres in seconds. Look-ups that arrive meanwhile share one statement.
    pub round_trip: f64,
}

impl Default for Scenario {
    /// A million pending logins at the peak, over fifty of the smallest machines.
    fn default() -> Self {
        Self {
            peak_per_hour: 10_000_000.0,
            quiet_share: 0.15,
            median_seconds: 45.0,
            abandoned: 0.35,
            replicas: 50.0,
            most_held: 7_200.0,
            hold: 18.0,
            interval_held: 1.0,
            interval_plain: 5.0,
            affinity: 0.0,
            round_trip: 0.001,
        }
    }
}

impl Scenario {
    pub const KEYS: [&str; 11] = [
        "peak_per_hour",
        "quiet_share",
        "median_seconds",
        "abandoned",
        "replicas",
        "most_held",
        "hold",
        "interval_held",
        "interval_plain",
        "affinity",
        "round_trip",
    ];

    /// Sets a number by its name. Returns false if there is no such number.
    pub fn set(&mut self, key: &str, value: f64) -> bool {
        let numbers = [
            &mut self.peak_per_hour,
            &mut self.quiet_share,
            &mut self.median_seconds,
            &mut self.abandoned,
            &mut self.replicas,
            &mut self.most_held,
            &mut self.hold,
            &mut self.interval_held,
            &mut self.interval_plain,
            &mut self.affinity,
            &mut self.round_trip,
        ];
        let found = numbers.into_iter().zip(Self::KEYS).find(|(_, name)| *name == key);
        found.map(|(number, _)| *number = value).is_some()
    }

    /// Logins opened in this second of the day. The minimum is at 4:00, the maximum at 16:00.
    pub fn opened(&self, second: usize) -> f64 {
        let phase = (second as f64 / 86_400.0 - 16.0 / 24.0) * std::f64::consts::TAU;
        let share = self.quiet_share + (1.0 - self.quiet_share) * f64::midpoint(1.0, phase.cos());
        self.peak_per_hour / 3600.0 * share
    }

    /// The share of logins that are still pending at this age.
    pub fn still_pending(&self, age: usize) -> f64 {
        let undecided = 0.5_f64.powf(age as f64 / self.median_seconds);
        if age < LIFETIME { self.abandoned + (1.0 - self.abandoned) * undecided } else { 0.0 }
    }
}
