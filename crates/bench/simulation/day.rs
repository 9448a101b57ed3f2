//! One second after another: pending logins, approvals, and their costs.

use std::collections::VecDeque;
use std::fmt;

use crate::costs::{memory, postgres, replica};
use crate::scenario::{LIFETIME, Scenario};

/// The decision feed queries ten times a second and looks back 0.3 s further than its last query; once a second 3 s, and
/// once in ten seconds 30 s. While a decision is near, which is always at this load, it also queries every 15 ms and looks
/// back 30 ms.
const FEEDS: f64 = 1.0 / 0.015;
const SECONDS_READ: f64 = 9.0 * (0.1 + 0.3) + 0.9 * (0.1 + 3.0) + 0.1 * (0.1 + 30.0) + (FEEDS - 10.0) * (0.015 + 0.03);
/// Seconds between two updates of `polled_at`: with all other grants of a replica that are due in the same second, or after a
/// look-up if the terminal's polls reach another replica each time.
const POLL_TIME_EVERY: f64 = 45.0;
const MAX_GROUP: f64 = 512.0;

pub struct Day<'a> {
    scenario: &'a Scenario,
    second: usize,
    /// The number of logins opened, by age in seconds.
    opened: VecDeque<f64>,
    survival: Vec<f64>,
}

#[derive(Debug)]
pub struct Second {
    pub opened: f64,
    pub approved: f64,
    pub waiting: f64,
    /// On one replica.
    pub held: f64,
    pub polls: f64,
    pub looked_up: f64,
    pub polls_in_one_look_up: f64,
    pub statements: f64,
    pub rows_fed: f64,
    pub postgres_cores: f64,
    /// For look-ups, for the decision feeds, for opening and approving.
    pub postgres_cores_by_cause: [f64; 3],
    /// Of one replica.
    pub replica_cores: f64,
    pub replica_megabytes: f64,
}

impl<'a> Day<'a> {
    pub fn new(scenario: &'a Scenario) -> Self {
        let survival = (0..=LIFETIME).map(|age| scenario.still_pending(age)).collect();
        // The night before was the same as its first second.
        Self { scenario, second: 0, opened: vec![scenario.opened(0); LIFETIME].into(), survival }
    }

    pub fn next_second(&mut self) -> Second {
        let scenario = self.scenario;
        let opened = scenario.opened(self.second);
        self.second += 1;
        self.opened.push_front(opened);
        self.opened.pop_back();
        let (mut waiting, mut approved, mut older) = (0.0, 0.0, 0.0);
        for (age, count) in self.opened.iter().enumerate() {
            waiting += count * self.survival[age];
            if age as f64 >= POLL_TIME_EVERY {
                older += count * self.survival[age];
            }
            // Logins that reach the end of the lifetime have expired.
            if age + 1 < LIFETIME {
                approved += count * (self.survival[age] - self.survival[age + 1]);
            }
        }
        self.add_up(opened, approved, waiting, older / POLL_TIME_EVERY)
    }

    fn add_up(&self, opened: f64, approved: f64, waiting: f64, poll_times: f64) -> Second {
        let scenario = self.scenario;
        let replicas = scenario.replicas;
        let held = (waiting / replicas).min(scenario.most_held);
        let plain = waiting / replicas - held;
        let polls_each = held / (scenario.hold + scenario.interval_held) + plain / scenario.interval_plain;
        // A poll is looked up if the login's previous poll went to another replica.
        let known_each = scenario.affinity * polls_each;
        let looked_up_each = polls_each - known_each;
        let (group, look_ups) = self.groups(looked_up_each, postgres::ROW_READ);
        let (_, openings) = self.groups(opened / replicas, postgres::ROW_OPENED);
        let noted_together = (scenario.affinity * poll_times / replicas / MAX_GROUP).max(scenario.affinity.ceil());
        let notes = replicas * noted_together + (1.0 - scenario.affinity) * poll_times / group;
        let rows_fed = approved * SECONDS_READ * replicas;

        let for_look_ups = replicas * (look_ups * postgres::STATEMENT + looked_up_each * postgres::ROW_READ)
            + notes * postgres::STATEMENT
            + poll_times * postgres::POLL_TIME;
        let for_feeds = FEEDS * replicas * postgres::STATEMENT + rows_fed * postgres::ROW_FED;
        let for_logins = openings * replicas * postgres::STATEMENT
            + opened * (postgres::ROW_OPENED + postgres::ROW_DELETED)
            + approved * postgres::APPROVAL;
        let approved_here = approved / replicas;
        Second {
            opened,
            approved,
            waiting,
            held,
            polls: polls_each * replicas,
            looked_up: looked_up_each * replicas,
            polls_in_one_look_up: group,
            statements: replicas * (look_ups + openings + FEEDS) + approved * 5.0 + notes,
            rows_fed,
            postgres_cores: for_look_ups + for_feeds + for_logins,
            postgres_cores_by_cause: [for_look_ups, for_feeds, for_logins],
            replica_cores: known_each * replica::POLL
                + looked_up_each * replica::POLL_LOOKED_UP
                + opened / replicas * replica::OPENING
                + approved_here * replica::APPROVAL
                + FEEDS * replica::FEED
                + rows_fed / replicas * replica::ROW_FED,
            replica_megabytes: memory::IDLE + held * memory::HELD,
        }
    }

    /// One statement runs at a time, and the next one takes all look-ups that arrive meanwhile. Returns the size of such a
    /// group, and the number of statements a second.
    fn groups(&self, lookups: f64, each: f64) -> (f64, f64) {
        let free = 1.0 - lookups * each;
        // A statement takes `round_trip + STATEMENT + each × group`. In that time `group` lookups arrive.
        let gathered = lookups * (self.scenario.round_trip + postgres::STATEMENT) / free.max(0.05);
        let group = gathered.clamp(1.0, MAX_GROUP);
        (group, lookups / group)
    }
}

impl Second {
    /// For the table of the hours.
    pub fn cells(&self) -> String {
        format!(
            "{:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} | {:.2} | {:.0} |",
            self.waiting,
            self.held,
            self.polls,
            self.looked_up,
            self.statements,
            self.postgres_cores,
            self.replica_cores,
            self.replica_megabytes
        )
    }
}

impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [look_ups, feeds, logins] = self.postgres_cores_by_cause;
        write!(
            f,
            "{:.0} logins opened and {:.0} approved in a second, {:.1} polls in a look-up, {:.0} rows of the decision feeds in a second. \
             Of {:.1} Postgres cores {look_ups:.1} are for look-ups, {feeds:.1} for the decision feeds, {logins:.1} for opening \
             and approving.",
            self.opened, self.approved, self.polls_in_one_look_up, self.rows_fed, self.postgres_cores
        )
    }
}
