//! What can be shown.

use std::net::IpAddr;

/// A page with the data on it.
#[derive(Debug, Clone)]
pub enum Page {
    /// What this server is, and how to use it.
    Home {
        /// The line to copy: `POSTIZ_AUTH_SERVER=https://... postiz auth:login`.
        cli_command: String,
    },
    /// A field for the user code.
    EnterCode {
        /// Why the last try did not do.
        problem: Option<CodeProblem>,
        /// What was typed then, as it was typed.
        typed: String,
    },
    /// The question before Postiz's own: is this login yours?
    Confirm(Confirm),
    /// Approved.
    Done {
        /// What the terminal has made of it so far.
        terminal: Terminal,
    },
    /// Approved a second time after the terminal had its token: that signed it out again.
    Replaced,
    /// Denied by the person, here or at Postiz.
    Denied,
    /// The exchange failed, and the authorization code may still be good: the same URL can be tried again.
    TryAgain {
        /// What went wrong.
        reason: Trouble,
    },
    /// The exchange failed, and the authorization code is spent: the same login can be approved again.
    ApproveAgain {
        /// The code of the login, `XXXX-XXXX`.
        user_code: String,
        /// What went wrong.
        reason: Trouble,
    },
    /// The callback came in a browser that did not confirm the code.
    WrongBrowser,
    /// A callback whose state is unknown, used or expired: nothing was exchanged.
    LinkSpent,
    /// This client has guessed too often.
    TooManyTries {
        /// The same as in `Retry-After`.
        retry_after_seconds: u64,
    },
    /// The database is out of reach. The page tries again by itself.
    OneMoment {
        /// How.
        retry: Retry,
    },
    /// A form that was not sent from a page of ours.
    CrossSite,
    /// Nothing has this address.
    NotFound,
    /// The address is right, the method is not.
    MethodNotAllowed,
    /// The request could not be read.
    BadRequest,
    /// A fault of ours.
    Internal,
}

/// Why a user code did not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeProblem {
    /// It cannot be a code.
    Malformed,
    /// No login has it, or none has it any more.
    Unknown,
    /// Its login ran out of time.
    Expired,
    /// Its login is settled.
    Used,
    /// Nothing is said of it before it is typed once more.
    Again {
        /// What lets it through then.
        mark: String,
    },
}

/// What the terminal is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// It has picked the token up.
    SignedIn,
    /// It asked a moment ago and will ask again.
    Waiting,
    /// It has not asked for a while and probably never will.
    Silent,
}

/// What went wrong between this server and Postiz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No connection.
    Unreachable,
    /// No answer in time.
    Slow,
    /// An answer that says that Postiz itself failed.
    Failed,
    /// Postiz does not know this server's client id or secret: a matter for its operator.
    Refused,
    /// The authorization code was not accepted (`invalid_grant`).
    Spent,
    /// An answer without a token, or none that can be read.
    Unreadable,
}

/// Whether the login was started where the person is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The same IPv4 address, or the same IPv6 /64.
    Same,
    /// Another one.
    Other,
    /// One has an IPv4 and the other an IPv6 address, or one is not known.
    CannotTell,
}

/// What a person has to know before approving a login.
#[derive(Debug, Clone)]
pub struct Confirm {
    /// The code in its canonical form, `XXXX-XXXX`.
    pub user_code: String,
    /// The code is shown, and a click confirms it. Otherwise it is not shown and has to be typed from the terminal.
    pub prefilled: bool,
    /// The mark of a code that was typed before, to be sent along.
    pub again: Option<String>,
    /// Since the login was started.
    pub opened_seconds_ago: u64,
    /// Until it runs out.
    pub expires_in_seconds: u64,
    /// Who started it.
    pub requester: Option<IpAddr>,
    /// Who looks at the page.
    pub viewer: Option<IpAddr>,
    /// Whether these two belong together.
    pub network: Network,
    /// Whether anybody waits for the approval.
    pub terminal: Terminal,
    /// The code was confirmed in another browser as well.
    pub several_browsers: bool,
}

/// How a page tries again what could not be done.
#[derive(Debug, Clone)]
pub enum Retry {
    /// By asking for the same URL: it was a GET.
    Reload,
    /// By sending the form of `/device/verify` once more.
    Submit {
        /// The field `user_code`, as it was sent.
        user_code: String,
        /// The field `action`, as it was sent.
        action: Option<String>,
    },
}
