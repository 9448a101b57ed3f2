//! `GET /device/callback`: Postiz sends the person back with a code, or with a refusal.

use actix_web::{HttpRequest, HttpResponse};

use crate::flow::{AuthorizationResponse, CallbackOutcome};
use crate::grant::GrantId;
use crate::http::done::Done;
use crate::http::fetch_metadata::Arrival;
use crate::http::pages::{Page, Retry};
use crate::http::visitor::Visitor;
use crate::limits::whole_seconds;

/// Where the person reads what became of the callback.
enum Answer {
    /// At another address: this one holds a code and a state.
    Done(Done),
    /// Here, because the login goes on at this address.
    Page(Page),
    /// Here, and the page repeats the request by itself.
    Overloaded,
}

/// Exchanges the code, exactly once, and tells the person what became of it.
pub async fn callback(request: HttpRequest, visitor: Visitor) -> HttpResponse {
    // Another site's image or prefetch could otherwise use up its visitor's budget of refused codes.
    if Arrival::of(&request, visitor.server_url()) == Arrival::NotFollowed {
        return visitor.show(&Page::CrossSite);
    }
    let Some(response) = AuthorizationResponse::from_query(request.query_string()) else {
        return Done::LinkExpired.redirect(&visitor, None);
    };
    let outcome = visitor.flow().callback(response, visitor.viewer()).await;
    match answer(&outcome) {
        (grant, Answer::Done(done)) => done.redirect(&visitor, grant),
        (_, Answer::Overloaded) => visitor.overloaded(Retry::Reload),
        (grant, Answer::Page(page)) => visitor.about(grant).show(&page),
    }
}

fn answer(outcome: &CallbackOutcome) -> (Option<GrantId>, Answer) {
    let one_moment = Page::OneMoment { retry: Retry::Reload };
    match *outcome {
        CallbackOutcome::Approved(grant, terminal) => (Some(grant), Answer::Done(terminal.into())),
        CallbackOutcome::TokenRefused(grant) => (Some(grant), Answer::Done(Done::TokenRefused)),
        CallbackOutcome::Replaced(grant) => (Some(grant), Answer::Done(Done::Replaced)),
        CallbackOutcome::Denied(grant) => (Some(grant), Answer::Done(Done::Denied)),
        CallbackOutcome::WrongBrowser => (None, Answer::Done(Done::WrongBrowser)),
        CallbackOutcome::Abandoned(grant) => (Some(grant), Answer::Done(Done::Stopped)),
        CallbackOutcome::LinkExpired(grant) => (grant, Answer::Done(Done::LinkExpired)),
        CallbackOutcome::InProgress(grant) => (Some(grant), Answer::Page(one_moment)),
        CallbackOutcome::TryAgain(grant, reason) => {
            (Some(grant), Answer::Page(Page::TryAgain { reason, retry: Retry::Reload }))
        }
        CallbackOutcome::ApproveAgain { grant, user_code, reason } => {
            (Some(grant), Answer::Page(Page::ApproveAgain { user_code: user_code.to_string(), reason }))
        }
        CallbackOutcome::RateLimited { grant, retry_after } => {
            let retry_after_seconds = whole_seconds(retry_after).max(1);
            (Some(grant), Answer::Page(Page::TooManyTries { retry_after_seconds }))
        }
        CallbackOutcome::Overloaded => (None, Answer::Overloaded),
        CallbackOutcome::Unavailable => (None, Answer::Page(one_moment)),
        CallbackOutcome::Failed(grant) => (Some(grant), Answer::Page(Page::Internal)),
    }
}
