//! Every page that the server can show, and the data on it.

use std::time::Duration;

use strum::{Display, EnumString};

use crate::flow::Confirmation;
use crate::grant::{CodeProblem, Done, UserCode};
use crate::postiz::Reason;

#[derive(Debug, Clone)]
pub enum Page {
    Home,
    /// A form for the user code.
    EnterCode {
        /// Why the code entered before can't go on.
        problem: Option<CodeProblem>,
        /// The code entered before, unchanged.
        typed: String,
    },
    /// Asks whether the person started this login, before Postiz asks for approval.
    Confirm(Box<Confirmation>),
    /// The end of a callback, or of a login that was denied on our page.
    Done(Done),
    /// Postiz gave no token, but the authorization code may still be valid; or it gave no client for this grant. The same
    /// request may succeed later.
    TryAgain {
        reason: Reason,
        retry: Retry,
    },
    /// The exchange failed and used up the authorization code: the same login can be approved again.
    ApproveAgain {
        user_code: UserCode,
        reason: Reason,
    },
    /// The client or its network is over a limit. The page retries by itself if the wait is short.
    RateLimited {
        /// Also sent as `Retry-After`.
        retry_after: Duration,
        retry: Retry,
    },
    /// The database is unavailable. The page retries by itself.
    OneMoment {
        retry: Retry,
    },
    /// The browser did not send back the cookie that came with an earlier page.
    NoCookie {
        retry: Retry,
    },
    /// A form that failed the CSRF check, or a link with a code that no person followed.
    CrossSite,
    NotFound,
    /// A form that could not be parsed.
    BadRequest,
    /// A bug in this server.
    Internal,
}

/// How a page repeats the request that it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The request was a GET: load the same URL.
    Reload,
    /// Send the form of `/device/verify` with the same fields.
    Submit(UserCode, Action),
}

/// What a person chose in the form of `/device/verify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Action {
    /// A typed code is shown first: a stranger may have sent it.
    View,
    Continue,
    Deny,
}
