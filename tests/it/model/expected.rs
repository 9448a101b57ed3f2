//! What a grant's row is expected to hold, and what each step is expected to find.

use postiz_auth_server::grant::{Done, Standing, Status, Step};
use postiz_auth_server::store::{Claim, Refusal};

use super::postiz::{Browser, Code};

/// Codes of one login that are exchanged.
pub const MAX_CODES: usize = 5;

/// An exchange in some replica's hands; numbered over the whole story.
pub type Flight = usize;

#[allow(clippy::struct_excessive_bools, reason = "each is a column's, and they go together in any way")]
#[derive(Debug, Clone)]
pub struct Expected {
    pub status: Status,
    pub expired: bool,
    /// Past its last minute: the next cleanup deletes it.
    pub due: bool,
    pub gone: bool,
    pub browser: Option<Browser>,
    pub codes: Vec<Code>,
    pub spent: bool,
    pub lease: Option<Flight>,
    pub lease_over: bool,
    pub deliveries: usize,
}

/// A claim without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimKind {
    Claimed,
    InProgress,
    CodeSpent,
    Over(Done),
}

impl From<&Claim> for ClaimKind {
    fn from(claim: &Claim) -> Self {
        match claim {
            Claim::Claimed(_) => Self::Claimed,
            Claim::InProgress => Self::InProgress,
            Claim::CodeSpent(_) => Self::CodeSpent,
            Claim::Over(done) => Self::Over(*done),
        }
    }
}

impl Expected {
    pub fn new() -> Self {
        Self {
            status: Status::Pending,
            expired: false,
            due: false,
            gone: false,
            browser: None,
            codes: Vec::new(),
            spent: false,
            lease: None,
            lease_over: false,
            deliveries: 0,
        }
    }

    pub fn is_open(&self) -> bool {
        !self.gone && !self.expired && matches!(self.status, Status::Pending | Status::Authorizing)
    }

    pub fn takes_codes(&self) -> bool {
        self.codes.len() < MAX_CODES
    }

    fn leased(&self) -> bool {
        self.lease.is_some() && !self.lease_over
    }

    fn current(&self, code: Code) -> bool {
        self.codes.last() == Some(&code)
    }

    /// Whether the person's word counted.
    pub fn begin(&mut self, browser: Browser) -> bool {
        let taken = self.is_open();
        if taken {
            self.status = Status::Authorizing;
            self.browser = Some(browser);
        }
        taken
    }

    pub fn deny(&mut self) -> bool {
        let taken = self.is_open();
        if taken {
            self.status = Status::Denied;
            self.lease = None;
        }
        taken
    }

    /// What a callback finds: `browser` brings `code`.
    pub fn callback(&self, code: Code, browser: Browser, mine: Option<Flight>) -> ClaimKind {
        if self.gone || self.browser != Some(browser) {
            return ClaimKind::Over(Done::LinkExpired);
        }
        let free = !self.leased() || (self.lease.is_some() && self.lease == mine);
        let (seen, current) = (self.codes.contains(&code), self.current(code));
        let again = self.status == Status::Authorizing && current && !self.spent;
        let anew = self.status.after(Step::Claim).is_some() && !seen && self.takes_codes();
        if !self.expired && free && (again || anew) {
            return ClaimKind::Claimed;
        }
        match self.status {
            Status::Denied => ClaimKind::Over(Done::Denied),
            Status::Approved if seen => ClaimKind::Over(Done::Waiting),
            Status::Delivered if seen => ClaimKind::Over(Done::SignedIn),
            Status::Approved | Status::Delivered => ClaimKind::Over(Done::Replaced),
            Status::Pending | Status::Authorizing if self.leased() => ClaimKind::InProgress,
            Status::Pending | Status::Authorizing if !self.expired && self.takes_codes() => ClaimKind::CodeSpent,
            Status::Revoked | Status::Pending | Status::Authorizing => ClaimKind::Over(Done::LinkExpired),
        }
    }

    pub fn claim(&mut self, code: Code, flight: Flight) {
        self.status = Status::Authorizing;
        self.spent = false;
        (self.lease, self.lease_over) = (Some(flight), false);
        if !self.codes.contains(&code) {
            self.codes.push(code);
        }
    }

    /// What a callback in another browser finds.
    pub fn abandon(&mut self, code: Code) -> Refusal {
        let seen = self.codes.contains(&code);
        let next = self.status.after(Step::Abandon).filter(|_| !seen && !self.gone);
        if let Some(status) = next {
            (self.status, self.lease) = (status, None);
        }
        let outcome = match self.status {
            _ if self.gone => Done::LinkExpired,
            Status::Denied => Done::Stopped,
            Status::Delivered => Done::WrongBrowser,
            _ if seen => Done::WrongBrowser,
            _ => Done::LinkExpired,
        };
        Refusal { outcome, applied: next.is_some() }
    }

    pub fn approve(&mut self, code: Code) -> Done {
        if self.gone {
            return Done::LinkExpired;
        }
        match self.status {
            Status::Authorizing if self.current(code) => {
                self.status = Status::Approved;
                self.lease = None;
                self.due = false;
                Done::Waiting
            }
            Status::Approved | Status::Delivered if self.current(code) => Done::Waiting,
            Status::Denied => Done::Denied,
            _ => Done::LinkExpired,
        }
    }

    pub fn release(&mut self, flight: Flight, spent: bool) {
        if !self.gone && self.lease == Some(flight) {
            self.lease = None;
            self.spent = spent;
        }
    }

    pub fn standing(&self) -> Standing {
        if self.gone {
            return Standing::Unknown;
        }
        match self.status {
            Status::Denied => Standing::Denied,
            Status::Revoked => Standing::Expired,
            Status::Approved | Status::Delivered if self.due => Standing::Expired,
            Status::Approved | Status::Delivered => Standing::Ready,
            Status::Pending | Status::Authorizing if self.expired && !self.leased() => Standing::Expired,
            Status::Pending | Status::Authorizing => Standing::Pending,
        }
    }
}
