//! A user code as a person entered it: in a link, or in the form of `/device/verify`.
//!
//! The extractors answer a request that has no usable code with its page, so that a handler gets a valid code only.

use std::future::{Ready, ready};
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::InternalError;
use actix_web::{FromRequest, HttpRequest};
use serde::Deserialize;

use crate::flow::Entry;
use crate::grant::UserCode;
use crate::http::fetch_metadata::Arrival;
use crate::http::own_form;
use crate::http::pages::{CodeProblem, Page, Retry};
use crate::http::params::Body;
use crate::http::visitor::Visitor;

#[derive(Debug)]
pub struct EnteredCode {
    pub user_code: UserCode,
    /// To be shown again: as the person typed it, or the code of a link.
    pub typed: String,
    pub entry: Entry,
}

/// The query of `GET /device/verify`; `None` without a code, and for a link on another site's page: the person types it.
#[derive(Debug)]
pub struct LinkedCode(pub Option<EnteredCode>);

/// The form of `POST /device/verify`, sent from a page of ours.
#[derive(Debug)]
pub struct CodeForm {
    pub code: EnteredCode,
    pub action: Action,
}

/// What the person chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A typed code is shown first: a stranger may have sent it.
    View,
    Continue,
    Deny,
}

impl Action {
    fn parse(text: &str) -> Self {
        match text {
            "continue" => Self::Continue,
            "deny" => Self::Deny,
            _ => Self::View,
        }
    }

    /// The field's value; `None` for the field's absence.
    pub fn as_field(self) -> Option<&'static str> {
        match self {
            Self::View => None,
            Self::Continue => Some("continue"),
            Self::Deny => Some("deny"),
        }
    }
}

impl CodeForm {
    /// How its page sends it again.
    pub fn retry(&self) -> Retry {
        Retry::Submit { user_code: self.code.user_code.to_string(), action: self.action.as_field().map(str::to_owned) }
    }
}

impl EnteredCode {
    fn typed(typed: String) -> Result<Self, Page> {
        match typed.parse() {
            Ok(user_code) => Ok(Self { user_code, typed, entry: Entry::Typed }),
            Err(_) => Err(Page::EnterCode { problem: Some(CodeProblem::Malformed), typed }),
        }
    }

    /// Nothing of the link's text gets on a page, except a code: anybody may have written it.
    fn linked(text: &str) -> Result<Self, Page> {
        match text.parse::<UserCode>() {
            Ok(user_code) => Ok(Self { user_code, typed: user_code.to_string(), entry: Entry::Link }),
            Err(_) => Err(Page::EnterCode { problem: Some(CodeProblem::Malformed), typed: String::new() }),
        }
    }
}

impl FromRequest for LinkedCode {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(follow(request).map(Self).map_err(|page| answer(request, &page)))
    }
}

/// A page of another site, or one that embeds ours, looks nothing up: it could use up its visitor's wrong codes.
fn follow(request: &HttpRequest) -> Result<Option<EnteredCode>, Page> {
    // The CLI sends `code`, RFC 8628's complete URI `user_code`.
    let given = url::form_urlencoded::parse(request.query_string().as_bytes())
        .find(|(name, value)| matches!(name.as_ref(), "code" | "user_code") && !value.is_empty());
    let Some((_, text)) = given else { return Ok(None) };
    let visitor = Visitor::of(request).map_err(|_| Page::Internal)?;
    match Arrival::of(request, visitor.server_url()) {
        Arrival::Direct => EnteredCode::linked(&text).map(Some),
        Arrival::OtherSite => Ok(None),
        Arrival::NotFollowed => Err(Page::CrossSite),
    }
}

impl FromRequest for CodeForm {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, body) = (request.clone(), Body::from_request(request, payload));
        Box::pin(async move { read(&request, body).await.map_err(|page| answer(&request, &page)) })
    }
}

async fn read(
    request: &HttpRequest,
    body: impl Future<Output = Result<Body, actix_web::Error>>,
) -> Result<CodeForm, Page> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Fields {
        user_code: String,
        action: String,
    }
    let visitor = Visitor::of(request).map_err(|_| Page::Internal)?;
    if !own_form::is_own(request, visitor.server_url()) {
        return Err(Page::CrossSite);
    }
    let fields = body.await.ok().and_then(|body| body.fields::<Fields>().ok()).ok_or(Page::BadRequest)?;
    let action = Action::parse(&fields.action);
    Ok(CodeForm { code: EnteredCode::typed(fields.user_code)?, action })
}

/// The page as the extractor's error.
fn answer(request: &HttpRequest, page: &Page) -> actix_web::Error {
    match Visitor::of(request) {
        Ok(visitor) => InternalError::from_response("no usable code", visitor.show(page)).into(),
        Err(error) => error,
    }
}
