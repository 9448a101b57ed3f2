//! `GET /device/callback`: Postiz sends the person back with a code, or with a refusal. Its outcome is shown at
//! `/device/done/{outcome}`, an address without the code and the state.
//!
//! The address of the second page holds everything that it shows, so it reads and changes nothing. Anybody can link to it.

use actix_web::http::Method;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};

use crate::flow::{AuthorizationResponse, CallbackOutcome};
use crate::grant::{Done, GrantId};
use crate::http::pages::{Page, Retry};
use crate::http::sender::Navigation;
use crate::http::visitor::Visitor;

/// Exchanges the code, exactly once, and shows the person the outcome.
pub async fn callback(request: HttpRequest, visitor: Visitor) -> HttpResponse {
    // An exchange needs a person who reads the answer.
    if *request.method() == Method::HEAD {
        return HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).finish();
    }
    // Another site's image or prefetch could otherwise use up its visitor's limit.
    if Navigation::of(&request, visitor.server_url()) == Navigation::NotFollowed {
        return visitor.show(&Page::CrossSite);
    }
    let Some(response) = AuthorizationResponse::from_query(request.query_string()) else {
        return redirect(&visitor, None, Done::LinkExpired);
    };
    let retry = Retry::Reload;
    match visitor.flow().callback(response, visitor.viewer().clone()).await {
        Ok(CallbackOutcome::Done(grant, done)) => redirect(&visitor, grant, done),
        Ok(CallbackOutcome::InProgress(grant)) => visitor.about(grant).show(&Page::OneMoment { retry }),
        Ok(CallbackOutcome::TryAgain(grant, reason)) => visitor.about(grant).show(&Page::TryAgain { reason, retry }),
        Ok(CallbackOutcome::ApproveAgain { grant, user_code, reason }) => {
            visitor.about(grant).show(&Page::ApproveAgain { user_code, reason })
        }
        Err(trouble) => visitor.show_trouble(trouble, retry),
    }
}

fn redirect(visitor: &Visitor, grant: Option<GrantId>, done: Done) -> HttpResponse {
    let (base_path, word) = (visitor.server_url().base_path(), done.address());
    let reference = grant.map(|grant| format!("?reference={}", grant.reference())).unwrap_or_default();
    visitor.redirect(&format!("{base_path}/device/done/{word}{reference}"))
}

/// `GET /device/done/{outcome}`.
pub async fn done(request: HttpRequest, visitor: Visitor, outcome: Path<String>) -> HttpResponse {
    let Ok(done) = outcome.replace('-', "_").parse::<Done>() else { return visitor.show(&Page::NotFound) };
    let query = request.query_string().as_bytes();
    let reference = url::form_urlencoded::parse(query).find(|(name, _)| name == "reference");
    let reference = reference.map(|(_, text)| text.into_owned());
    visitor.naming(reference.filter(|text| GrantId::parse_reference(text).is_some())).show(&Page::Done(done))
}
