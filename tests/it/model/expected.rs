//! What a grant's row is expected to hold, and what each step is expected to find.

use postiz_auth_server::grant::{GrantId, Status, Step};
use postiz_auth_server::store::{Abandonment, Approval, Claim, Standing};

use super::postiz::{Browser, Code};

/// Codes of one login that are exchanged.
pub const MAX_CODES: usize = 3;

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
    Finished,
    Replaced,
    CodeSpent,
    Denied,
    Expired,
    WrongBrowser,
    Altered,
    Unknown,
}

impl From<&Claim> for ClaimKind {
    fn from(claim: &Claim) -> Self {
        match claim {
            Claim::Claimed(_) => Self::Claimed,
            Claim::InProgress(_) => Self::InProgress,
            Claim::Approved(..) => Self::Finished,
            Claim::Replaced(_) => Self::Replaced,
            Claim::CodeSpent(..) => Self::CodeSpent,
            Claim::Denied(_) => Self::Denied,
            Claim::Expired(_) => Self::Expired,
            Claim::WrongBrowser(_) => Self::WrongBrowser,
            Claim::Altered(_) => Self::Altered,
            Claim::Unknown => Self::Unknown,
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

    /// What a callback finds: `code` was issued to `owner`'s consent page, and `browser` brings it.
    pub fn callback(&self, code: Code, owner: Browser, browser: Browser, mine: Option<Flight>) -> ClaimKind {
        if self.gone || self.browser != Some(owner) {
            return ClaimKind::Unknown;
        }
        if browser != owner {
            return ClaimKind::WrongBrowser;
        }
        let free = !self.leased() || (self.lease.is_some() && self.lease == mine);
        let (seen, current) = (self.codes.contains(&code), self.current(code));
        let again = self.status == Status::Authorizing && current && !self.spent;
        let anew = self.status.after(Step::Claim).is_some() && !seen && self.takes_codes();
        if !self.expired && free && (again || anew) {
            return ClaimKind::Claimed;
        }
        match self.status {
            Status::Denied => ClaimKind::Denied,
            Status::Revoked => ClaimKind::Unknown,
            Status::Approved | Status::Delivered if seen => ClaimKind::Finished,
            Status::Approved | Status::Delivered => ClaimKind::Replaced,
            Status::Pending | Status::Authorizing if self.leased() => ClaimKind::InProgress,
            Status::Pending | Status::Authorizing if self.expired => ClaimKind::Expired,
            Status::Pending | Status::Authorizing if !self.takes_codes() => ClaimKind::Expired,
            Status::Pending | Status::Authorizing => ClaimKind::CodeSpent,
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
    pub fn abandon(&mut self, id: GrantId, code: Code, owner: Browser) -> Abandonment {
        if self.gone || self.browser != Some(owner) {
            return Abandonment::Unknown;
        }
        if self.codes.contains(&code) {
            let denied = self.status == Status::Denied;
            return if denied { Abandonment::Repeated(id) } else { Abandonment::CodeOfRightBrowser(id) };
        }
        if self.takes_codes() {
            self.codes.push(code);
        }
        self.lease = None;
        match self.status.after(Step::Abandon) {
            Some(status) => {
                self.status = status;
                Abandonment::Ended(id)
            }
            None => Abandonment::AlreadyOver(id),
        }
    }

    pub fn approve(&mut self, code: Code) -> Approval {
        if self.gone {
            return Approval::Superseded;
        }
        match self.status {
            Status::Authorizing if self.current(code) => {
                self.status = Status::Approved;
                self.lease = None;
                self.due = false;
                Approval::Approved
            }
            Status::Approved | Status::Delivered if self.current(code) => Approval::Approved,
            Status::Denied => Approval::Denied,
            _ => Approval::Superseded,
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
            // The test does not know how long exactly.
            Status::Pending | Status::Authorizing => Standing::Pending { remaining: std::time::Duration::ZERO },
        }
    }
}
