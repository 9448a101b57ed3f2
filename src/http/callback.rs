//! `GET /device/callback`: Postiz sends the person back with a code, or with a refusal.

use actix_web::{HttpRequest, HttpResponse};

use crate::flow::{AuthorizationResponse, CallbackOutcome};
use crate::http::pages::{Page, Retry};
use crate::http::visitor::Visitor;

/// Exchanges the code, exactly once, and tells the person what became of it.
pub async fn callback(request: HttpRequest, visitor: Visitor) -> HttpResponse {
    let Some(response) = AuthorizationResponse::from_query(request.query_string()) else {
        return visitor.show(&Page::LinkSpent);
    };
    let viewer = visitor.viewer().clone();
    let one_moment = Page::OneMoment { retry: Retry::Reload };
    let (grant, page) = match visitor.flow().callback(response, viewer).await {
        CallbackOutcome::Approved(grant, terminal) => (Some(grant), Page::Done { terminal }),
        CallbackOutcome::InProgress(grant) => (Some(grant), one_moment),
        CallbackOutcome::Replaced(grant) => (Some(grant), Page::Replaced),
        CallbackOutcome::Denied(grant) => (Some(grant), Page::Denied),
        CallbackOutcome::TryAgain(grant, reason) => (Some(grant), Page::TryAgain { reason }),
        CallbackOutcome::ApproveAgain { grant, user_code, reason } => {
            (Some(grant), Page::ApproveAgain { user_code: user_code.to_string(), reason })
        }
        CallbackOutcome::WrongBrowser => (None, Page::WrongBrowser),
        CallbackOutcome::LinkExpired(grant) => (grant, Page::LinkSpent),
        CallbackOutcome::Overloaded => return visitor.overloaded(Retry::Reload),
        CallbackOutcome::Unavailable => (None, one_moment),
        CallbackOutcome::Failed(grant) => (Some(grant), Page::Internal),
    };
    visitor.about(grant).show(&page)
}
