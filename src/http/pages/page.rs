//! Every page that the server can show, with the data on it.

use crate::flow::Confirmation;
use crate::grant::Terminal;
use crate::postiz::Reason;

#[derive(Debug, Clone)]
pub enum Page {
    Home,
    /// A form for the user code.
    EnterCode {
        /// Why the code entered before was refused.
        problem: Option<CodeProblem>,
        /// The code entered before, unchanged.
        typed: String,
    },
    /// Asks whether the person started this login, before Postiz asks for approval.
    Confirm(Confirmation),
    Done {
        terminal: Terminal,
    },
    /// The token is stored or delivered, and Postiz refuses it in a trial.
    TokenRefused,
    /// Approved a second time after the token was delivered. Postiz revoked that token at the second approval.
    Replaced,
    /// Denied by the person, here or at Postiz.
    Denied,
    /// Postiz gave no token, but the authorization code may still be valid; or it gave no client for this grant. The same
    /// request may succeed later.
    TryAgain {
        reason: Reason,
        retry: Retry,
    },
    /// The exchange failed and used up the authorization code: the same login can be approved again.
    ApproveAgain {
        /// `XXXX-XXXX`
        user_code: String,
        reason: Reason,
    },
    /// The callback came in a browser that did not confirm the code. Nothing has changed: it brings no authorization code, or
    /// one that the right browser brought before.
    WrongBrowser,
    /// The callback came in a browser that did not confirm the code. The login was ended, and its authorization code is worthless.
    WrongBrowserEnded,
    /// A callback whose state is unknown, used or expired, or whose login takes no further code. Nothing was exchanged.
    LinkSpent,
    /// The client is rate-limited after too many wrong user codes or refused authorization codes.
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
    /// A form that failed the CSRF check, or a link with a code that no person followed.
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

/// How a page repeats the request that it answers.
#[derive(Debug, Clone)]
pub enum Retry {
    /// The request was a GET: load the same URL.
    Reload,
    /// Send the form of `/device/verify` with the same fields.
    Submit { user_code: String, action: Option<String> },
}
