//! Every page that the server can show, with the data on it.

use std::net::IpAddr;

use crate::postiz::Reason;

#[derive(Debug, Clone)]
pub enum Page {
    Home {
        /// `POSTIZ_AUTH_SERVER=https://... postiz auth:login`
        cli_command: String,
    },
    /// A form for the user code.
    EnterCode {
        /// Why the code entered before was refused.
        problem: Option<CodeProblem>,
        /// The code entered before, unchanged.
        typed: String,
    },
    /// Asks whether the person started this login, before Postiz asks for approval.
    Confirm(Confirm),
    Done {
        terminal: Terminal,
    },
    /// Approved a second time after the token was delivered. Postiz revoked that token at the second approval.
    Replaced,
    /// Denied by the person, here or at Postiz.
    Denied,
    /// The exchange failed, but the authorization code may still be valid: reloading the same URL retries it.
    TryAgain {
        reason: Reason,
    },
    /// The exchange failed and used up the authorization code: the same login can be approved again.
    ApproveAgain {
        /// `XXXX-XXXX`
        user_code: String,
        reason: Reason,
    },
    /// The callback came in a browser that did not confirm the code. The login is still open.
    WrongBrowser,
    /// The callback came in a browser that did not confirm the code. The login was ended, and its authorization code is worthless.
    WrongBrowserEnded,
    /// A callback whose state is unknown, used or expired. Nothing was exchanged.
    LinkSpent,
    /// The client is rate-limited after too many wrong codes.
    TooManyTries {
        /// Also sent as `Retry-After`.
        retry_after_seconds: u64,
    },
    /// The database is unavailable. The page retries by itself.
    OneMoment {
        retry: Retry,
    },
    /// The server sheds load. The page retries by itself.
    Overloaded {
        retry: Retry,
        /// Also sent as `Retry-After`.
        retry_after_seconds: u64,
    },
    /// A form that failed the CSRF check.
    CrossSite,
    NotFound,
    MethodNotAllowed,
    /// A form that could not be parsed.
    BadRequest,
    /// A bug in this server.
    Internal,
}

/// Why a user code was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeProblem {
    Malformed,
    /// No grant has this code, or its grant was deleted.
    Unknown,
    Expired,
    /// Its grant is approved or delivered.
    Used,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// It has received the token.
    SignedIn,
    /// It still polls.
    Waiting,
    /// It no longer polls.
    Inactive,
}

/// Whether the login was started on the viewer's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The same IPv4 address, or the same IPv6 /64.
    Same,
    Other,
    /// One address is IPv4 and the other IPv6, or one is unknown.
    CannotTell,
}

#[derive(Debug, Clone)]
pub struct Confirm {
    /// `XXXX-XXXX`
    pub user_code: String,
    /// Shows the code and takes one click. Otherwise the page hides the code, and the person has to type it from the terminal.
    pub prefilled: bool,
    pub opened_seconds_ago: u64,
    pub expires_in_seconds: u64,
    /// The address that opened the grant.
    pub requester: Option<IpAddr>,
    /// The address of the browser.
    pub viewer: Option<IpAddr>,
    pub network: Network,
    pub terminal: Terminal,
    /// Another browser confirmed this code too.
    pub several_browsers: bool,
}

/// How a page repeats the request that it answers.
#[derive(Debug, Clone)]
pub enum Retry {
    /// The request was a GET: load the same URL.
    Reload,
    /// Send the form of `/device/verify` with the same fields.
    Submit { user_code: String, action: Option<String> },
}
