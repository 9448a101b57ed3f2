//! Every page that the server can show: the data on it, and its status code.

use std::time::Duration;

use actix_web::http::StatusCode;

use crate::flow::Confirmation;
use crate::grant::{CodeProblem, Done};
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
        /// `XXXX-XXXX`
        user_code: String,
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
    MethodNotAllowed,
    /// A form that could not be parsed.
    BadRequest,
    /// A bug in this server.
    Internal,
}

/// How a page repeats the request that it answers.
#[derive(Debug, Clone)]
pub enum Retry {
    /// The request was a GET: load the same URL.
    Reload,
    /// Send the form of `/device/verify` with the same fields.
    Submit { user_code: String, action: Option<String> },
}

impl Page {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Home | Self::Confirm(_) => StatusCode::OK,
            Self::EnterCode { problem, .. } => match problem {
                None | Some(CodeProblem::Denied) => StatusCode::OK,
                Some(CodeProblem::Malformed | CodeProblem::Unknown | CodeProblem::Expired | CodeProblem::Used) => {
                    StatusCode::BAD_REQUEST
                }
            },
            Self::Done(done) => match done {
                Done::SignedIn | Done::Waiting | Done::Inactive | Done::TokenRefused | Done::Denied => StatusCode::OK,
                Done::Replaced => StatusCode::CONFLICT,
                Done::WrongBrowser | Done::Stopped => StatusCode::FORBIDDEN,
                Done::LinkExpired => StatusCode::BAD_REQUEST,
            },
            Self::TryAgain { .. } | Self::ApproveAgain { .. } => StatusCode::BAD_GATEWAY,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::OneMoment { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoCookie { .. } | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
