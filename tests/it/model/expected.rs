//! What a grant's row is expected to hold, and what each act on it is expected to find.

use postiz_auth_server::grant::{Done, PollStatus, Status};

/// Codes of one login that are exchanged.
const MAX_CODES: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Age {
    Young,
    Expired,
    /// Past its last minute: the next cleanup deletes it.
    Due,
    Gone,
}

/// Browsers, codes and flights (exchanges in some replica's hands) are numbered over the whole story.
#[derive(Debug, Clone)]
pub struct Expected {
    pub status: Status,
    pub age: Age,
    pub browser: Option<usize>,
    pub codes: Vec<usize>,
    pub spent: bool,
    pub lease: Option<usize>,
    pub lease_over: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Act {
    Begin { browser: usize },
    Deny,
    Revoke,
    Claim { browser: usize, code: usize, flight: usize },
    Abandon { code: usize },
    Approve { code: usize },
    Deliver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The row took the act.
    Applied,
    InProgress,
    CodeSpent,
    Over(Done),
}

impl Expected {
    pub fn new() -> Self {
        let (status, age) = (Status::Pending, Age::Young);
        let (codes, lease) = (Vec::new(), None);
        Self { status, age, browser: None, codes, spent: false, lease, lease_over: false }
    }

    pub fn is_leased(&self) -> bool {
        self.lease.is_some() && !self.lease_over
    }

    fn is_undecided(&self) -> bool {
        matches!(self.status, Status::Pending | Status::Authorizing)
    }

    /// A person can still approve it.
    pub fn is_open(&self) -> bool {
        self.age == Age::Young && self.is_undecided() && self.codes.len() < MAX_CODES
    }

    /// Carries out the act, if the row takes it.
    pub fn take(&mut self, act: Act) -> Found {
        if !self.allows(act) {
            return self.refusal(act);
        }
        match act {
            Act::Begin { browser } => (self.status, self.browser) = (Status::Authorizing, Some(browser)),
            Act::Deny | Act::Abandon { .. } => self.decide(Status::Denied),
            Act::Revoke => self.decide(Status::Revoked),
            Act::Approve { .. } => self.decide(Status::Approved),
            Act::Deliver => self.status = Status::Delivered,
            Act::Claim { code, flight, .. } => {
                (self.status, self.spent) = (Status::Authorizing, false);
                (self.lease, self.lease_over) = (Some(flight), false);
                if !self.codes.contains(&code) {
                    self.codes.push(code);
                }
            }
        }
        Found::Applied
    }

    fn decide(&mut self, status: Status) {
        (self.status, self.lease) = (status, None);
        // It lives for another minute.
        self.age = self.age.min(Age::Expired);
    }

    fn allows(&self, act: Act) -> bool {
        let is_young = self.age == Age::Young;
        let seen = |code| self.codes.contains(&code);
        let current = |code| self.codes.last() == Some(&code);
        match act {
            _ if self.age == Age::Gone => false,
            Act::Begin { .. } | Act::Deny => is_young && self.is_undecided(),
            Act::Claim { browser, code, flight } => {
                let free = !self.is_leased() || self.lease == Some(flight);
                let again = self.status == Status::Authorizing && current(code) && !self.spent;
                let anew = matches!(self.status, Status::Authorizing | Status::Approved)
                    && !seen(code)
                    && self.codes.len() < MAX_CODES;
                is_young && self.browser == Some(browser) && free && (again || anew)
            }
            Act::Revoke if self.is_undecided() => is_young || self.is_leased(),
            Act::Revoke => self.status == Status::Approved && self.age < Age::Due,
            Act::Abandon { code } => matches!(self.status, Status::Authorizing | Status::Approved) && !seen(code),
            Act::Approve { code } => self.status == Status::Authorizing && current(code),
            Act::Deliver => self.status() == PollStatus::Ready,
        }
    }

    /// What an act finds that the row does not take.
    fn refusal(&self, act: Act) -> Found {
        let current = |code| self.codes.last() == Some(&code);
        let done = match (act, self.status) {
            _ if self.age == Age::Gone => Done::LinkExpired,
            (Act::Claim { browser, .. }, _) if self.browser != Some(browser) => Done::LinkExpired,
            (Act::Claim { code, .. }, Status::Approved) if self.codes.contains(&code) => Done::Waiting,
            (Act::Claim { code, .. }, Status::Delivered) if self.codes.contains(&code) => Done::SignedIn,
            (Act::Claim { .. }, Status::Approved | Status::Delivered) => Done::Replaced,
            (Act::Claim { .. }, _) if self.is_undecided() && self.is_leased() => return Found::InProgress,
            (Act::Claim { .. }, _) if self.is_open() => return Found::CodeSpent,
            (Act::Abandon { .. }, Status::Denied) => Done::Stopped,
            (Act::Abandon { .. }, Status::Delivered) => Done::WrongBrowser,
            (Act::Abandon { code }, _) if self.codes.contains(&code) => Done::WrongBrowser,
            (Act::Approve { code }, Status::Approved | Status::Delivered) if current(code) => Done::Waiting,
            (Act::Claim { .. } | Act::Approve { .. }, Status::Denied) => Done::Denied,
            _ => Done::LinkExpired,
        };
        Found::Over(done)
    }

    pub fn status(&self) -> PollStatus {
        match self.status {
            _ if self.age == Age::Gone => PollStatus::Unknown,
            Status::Denied => PollStatus::Denied,
            Status::Revoked => PollStatus::Expired,
            Status::Approved | Status::Delivered if self.age == Age::Due => PollStatus::Expired,
            Status::Approved | Status::Delivered => PollStatus::Ready,
            Status::Pending | Status::Authorizing if self.age > Age::Young && !self.is_leased() => PollStatus::Expired,
            Status::Pending | Status::Authorizing => PollStatus::Pending,
        }
    }
}
