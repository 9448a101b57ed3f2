//! Answers a browser with a page: language, status and headers.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, RETRY_AFTER, VARY,
};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};

use crate::config::BaseUrl;
use crate::flow::{DeviceFlow, Viewer};
use crate::grant::GrantId;
use crate::http::pages::{self, Language, Page, PageContext, Retry};
use crate::http::{Deps, browser_cookie};

/// A page that was refused because of the load retries by itself after this time.
const OVERLOAD_RETRY_SECONDS: u64 = 3;

/// A person at a browser, with what every page for them needs.
#[derive(Debug)]
pub struct Visitor {
    language: Language,
    deps: Data<Deps>,
    viewer: Viewer,
    reference: Option<String>,
}

impl Visitor {
    /// Fails only if the app has no [`Deps`].
    pub fn of(request: &HttpRequest) -> Result<Self, actix_web::Error> {
        let language = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let deps = request.app_data::<Data<Deps>>().cloned();
        let deps = deps.ok_or_else(|| actix_web::error::ErrorInternalServerError("the app has no dependencies"))?;
        let viewer =
            Viewer { address: deps.client_ip.of(request), browser: browser_cookie::read(request, &deps.server_url) };
        Ok(Self { language: Language::from_accept_language(language), deps, viewer, reference: None })
    }

    pub fn flow(&self) -> &DeviceFlow {
        &self.deps.flow
    }

    pub fn viewer(&self) -> &Viewer {
        &self.viewer
    }

    pub fn server_url(&self) -> &BaseUrl {
        &self.deps.server_url
    }

    /// The page will show this grant's reference.
    #[must_use]
    pub fn about(mut self, grant: impl Into<Option<GrantId>>) -> Self {
        self.reference = grant.into().map(|grant| grant.reference());
        self
    }

    /// The page will show this reference.
    #[must_use]
    pub fn naming(mut self, reference: Option<String>) -> Self {
        self.reference = reference;
        self
    }

    pub fn show(&self, page: &Page) -> HttpResponse {
        let context = PageContext {
            base_path: self.deps.server_url.base_path(),
            language: self.language,
            login_command: &self.deps.login_command,
            reference: self.reference.as_deref(),
        };
        let mut response = HttpResponse::build(status(page));
        if let Page::TooManyTries { retry_after_seconds } | Page::Overloaded { retry_after_seconds, .. } = page {
            response.insert_header((RETRY_AFTER, retry_after_seconds.to_string()));
        }
        response
            .content_type("text/html; charset=utf-8")
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((VARY, "Accept-Language"))
            .insert_header((CONTENT_LANGUAGE, self.language.lang()))
            .insert_header((CONTENT_SECURITY_POLICY, self.content_security_policy()))
            .body(pages::render(page, &context))
    }

    /// The page for work that was refused because of the load.
    pub fn overloaded(&self, retry: Retry) -> HttpResponse {
        self.show(&Page::Overloaded { retry, retry_after_seconds: OVERLOAD_RETRY_SECONDS })
    }

    /// `form-action` names Postiz too: the form of `/device/verify` is answered with a redirect there, which Chromium checks.
    fn content_security_policy(&self) -> String {
        // Without an address of Postiz, no form is answered with a redirect.
        let postiz = self.deps.flow.postiz().front_end().unwrap_or_default();
        format!(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self' {postiz}; \
             base-uri 'none'; frame-ancestors 'none'"
        )
    }
}

fn status(page: &Page) -> StatusCode {
    match page {
        Page::Home
        | Page::EnterCode { problem: None, .. }
        | Page::Confirm(_)
        | Page::Done { .. }
        | Page::TokenRefused
        | Page::Denied => StatusCode::OK,
        Page::EnterCode { problem: Some(_), .. } | Page::LinkSpent | Page::BadRequest => StatusCode::BAD_REQUEST,
        Page::WrongBrowser | Page::WrongBrowserEnded | Page::CrossSite => StatusCode::FORBIDDEN,
        Page::NotFound => StatusCode::NOT_FOUND,
        Page::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Page::Replaced => StatusCode::CONFLICT,
        Page::TooManyTries { .. } => StatusCode::TOO_MANY_REQUESTS,
        Page::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Page::TryAgain { .. } | Page::ApproveAgain { .. } => StatusCode::BAD_GATEWAY,
        Page::OneMoment { .. } | Page::Overloaded { .. } => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl FromRequest for Visitor {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}
