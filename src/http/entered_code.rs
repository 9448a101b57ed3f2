//! A user code as a person entered it: in a link, or in the form of `/device/verify`.

use actix_web::HttpRequest;
use serde::Deserialize;

use crate::flow::Entry;
use crate::grant::{CodeProblem, UserCode};
use crate::http::fetch_metadata::{Arrival, is_own_form, is_same_origin};
use crate::http::pages::{Page, Retry};
use crate::http::params::Body;
use crate::http::visitor::Visitor;

/// In the query of a page that a typed code was answered with. It counts only if a page of ours led there.
pub const TYPED: &str = "typed";

#[derive(Debug)]
pub struct EnteredCode {
    pub user_code: UserCode,
    /// To be shown again: as the person typed it, or the code of a link.
    pub typed: String,
    pub entry: Entry,
}

/// The form of `POST /device/verify`, sent from a page of ours.
#[derive(Debug)]
pub struct CodeForm {
    pub code: EnteredCode,
    pub action: Action,
    /// How its page sends it again.
    pub retry: Retry,
}

/// What the person chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A typed code is shown first: a stranger may have sent it.
    View,
    Continue,
    Deny,
}

/// The code in the query; `None` without one, and for a link on another site's page: the person types it. A page of another
/// site, or one that embeds ours, looks nothing up: it could use up its visitor's wrong codes.
pub fn linked(request: &HttpRequest, visitor: &Visitor) -> Result<Option<EnteredCode>, Page> {
    let query = || url::form_urlencoded::parse(request.query_string().as_bytes());
    // The CLI sends `code`, RFC 8628's complete URI `user_code`.
    let is_code = |name: &str, value: &str| matches!(name, "code" | "user_code") && !value.is_empty();
    let Some((_, text)) = query().find(|(name, value)| is_code(name, value)) else { return Ok(None) };
    match Arrival::of(request, visitor.server_url()) {
        Arrival::Direct => {}
        Arrival::OtherSite => return Ok(None),
        Arrival::NotFollowed => return Err(Page::CrossSite),
    }
    // Nothing of the link's text gets on a page, except a code: anybody may have written it.
    let user_code = text.parse::<UserCode>().map_err(|_| malformed(String::new()))?;
    let was_typed = is_same_origin(request) && query().any(|(name, _)| name == TYPED);
    let entry = if was_typed { Entry::Typed } else { Entry::Link };
    Ok(Some(EnteredCode { user_code, typed: user_code.to_string(), entry }))
}

/// The code in the form.
pub fn submitted(
    request: &HttpRequest,
    visitor: &Visitor,
    body: Result<Body, actix_web::Error>,
) -> Result<CodeForm, Page> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Fields {
        user_code: String,
        action: Option<String>,
    }
    if !is_own_form(request, visitor.server_url()) {
        visitor.log_refused_form(request);
        return Err(Page::CrossSite);
    }
    let fields = body.ok().and_then(|body| body.fields::<Fields>().ok()).ok_or(Page::BadRequest)?;
    let user_code: UserCode = fields.user_code.parse().map_err(|_| malformed(fields.user_code.clone()))?;
    let action = match fields.action.as_deref() {
        Some("continue") => Action::Continue,
        Some("deny") => Action::Deny,
        _ => Action::View,
    };
    let retry = Retry::Submit { user_code: user_code.to_string(), action: fields.action };
    Ok(CodeForm { code: EnteredCode { user_code, typed: fields.user_code, entry: Entry::Typed }, action, retry })
}

fn malformed(typed: String) -> Page {
    Page::EnterCode { problem: Some(CodeProblem::Malformed), typed }
}
