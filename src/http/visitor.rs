//! A person at a browser: language, address, and the cookie that binds an approval to the browser that confirmed the code.

use std::future::{Ready, ready};
use std::sync::{Arc, PoisonError};

use actix_web::dev::Payload;
use actix_web::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, COOKIE, HeaderValue, LOCATION, ORIGIN,
    RETRY_AFTER, SET_COOKIE, VARY,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder};
use tokio::time::Instant;
use tracing::warn;

use crate::config::BaseUrl;
use crate::flow::{DeviceFlow, Trouble, Viewer};
use crate::grant::{BrowserKey, GrantId};
use crate::http::Deps;
use crate::http::pages::{self, Language, Page, PageContext, Retry};
use crate::http::sender::client_ip;
use crate::limits::{RateLimited, whole_seconds};
use crate::postiz::Endpoints;

/// Longer than any grant lives.
const MAX_AGE_SECONDS: u32 = 2 * 60 * 60;

/// Characters of a header in the log.
const LONGEST_SHOWN: usize = 100;

/// A person at a browser, with what every page for them needs.
pub struct Visitor {
    language: &'static Language,
    deps: Data<Deps>,
    viewer: Viewer,
    /// To be set in the browser.
    new_key: Option<BrowserKey>,
    reference: Option<String>,
}

impl Visitor {
    pub fn flow(&self) -> &Arc<DeviceFlow> {
        &self.deps.flow
    }

    pub fn viewer(&self) -> &Viewer {
        &self.viewer
    }

    pub fn server_url(&self) -> &BaseUrl {
        &self.deps.config.server_url
    }

    /// The answer gives this key to the browser, or renews it.
    #[must_use]
    pub fn with_key(mut self, key: BrowserKey) -> Self {
        self.new_key = Some(key);
        self
    }

    /// The page gives a key to a browser that has none.
    #[must_use]
    pub fn giving_key(self) -> Self {
        if self.viewer.browser.is_none() { self.with_key(BrowserKey::random()) } else { self }
    }

    /// The page will show this grant's reference.
    #[must_use]
    pub fn about(self, grant: impl Into<Option<GrantId>>) -> Self {
        let reference = grant.into().map(|grant| grant.reference());
        self.naming(reference)
    }

    /// The page will show this reference.
    #[must_use]
    pub fn naming(mut self, reference: Option<String>) -> Self {
        self.reference = reference;
        self
    }

    pub fn show(&self, page: &Page) -> HttpResponse {
        let front_end = self.deps.flow.postiz().front_end();
        let endpoints = self.deps.flow.postiz().endpoints();
        let context = PageContext {
            config: &self.deps.config,
            language: self.language,
            reference: self.reference.as_deref(),
            postiz_url: endpoints.as_ref().map(Endpoints::front_end),
        };
        let (status, html) = pages::render(page, &context);
        let mut response = self.answer(status);
        if let Page::RateLimited { retry_after, .. } = page {
            response.insert_header((RETRY_AFTER, whole_seconds(*retry_after).to_string()));
        }
        response
            .content_type("text/html; charset=utf-8")
            .insert_header((VARY, "Accept-Language"))
            .insert_header((CONTENT_LANGUAGE, self.language.lang))
            .insert_header((CONTENT_SECURITY_POLICY, content_security_policy(front_end.as_deref())))
            .body(html)
    }

    pub fn show_trouble(&self, trouble: Trouble, retry: Retry) -> HttpResponse {
        self.show(&match trouble {
            Trouble::RateLimited(RateLimited { retry_after }) => Page::RateLimited { retry_after, retry },
            Trouble::Unavailable => Page::OneMoment { retry },
            Trouble::Failed => Page::Internal,
        })
    }

    /// To another address, by a GET: 303, so that the browser does not send a form on.
    pub fn redirect(&self, location: &str) -> HttpResponse {
        self.answer(StatusCode::SEE_OTHER).insert_header((LOCATION, location)).finish()
    }

    /// The cookie is Lax, so that it comes back with Postiz's redirect.
    fn answer(&self, status: StatusCode) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(status);
        response.insert_header((CACHE_CONTROL, "no-store"));
        if let Some(key) = &self.new_key {
            let (name, key) = (cookie_name(self.server_url()), key.to_cookie());
            let secure = if self.server_url().is_https() { "; Secure" } else { "" };
            let cookie = format!("{name}={key}; Path=/; Max-Age={MAX_AGE_SECONDS}; HttpOnly; SameSite=Lax{secure}");
            response.insert_header((SET_COOKIE, cookie));
        }
        response
    }

    /// Says what came and what was expected: a proxy that changes headers, or a page under another name, stops every login.
    pub fn log_refused_form(&self, request: &HttpRequest) {
        let shown = |name: &str| {
            let value = request.headers().get(name).map(HeaderValue::as_bytes).map(String::from_utf8_lossy);
            value.map(|value| value.chars().take(LONGEST_SHOWN).collect::<String>())
        };
        let (origin, sec_fetch_site) = (shown(ORIGIN.as_str()), shown("sec-fetch-site"));
        // A client can send any other origin, and so as many as it likes.
        let kind = match origin.as_deref() {
            None => "none",
            Some("null") => "null",
            Some(_) => "other",
        };
        let mut refused = self.deps.refused_forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(repeats) = refused.due(kind, Instant::now()) {
            warn!(
                origin,
                sec_fetch_site,
                expected = self.server_url().origin(),
                repeats,
                "a form was refused because another site may have sent it: if people open this server under another name, \
                 SERVER_URL is wrong; if the origin is null, a proxy adds Referrer-Policy: no-referrer"
            );
        }
    }
}

/// With https, the prefix prevents other hosts, sibling subdomains included, from setting it.
fn cookie_name(server_url: &BaseUrl) -> &'static str {
    if server_url.is_https() { "__Host-postiz-browser" } else { "postiz-browser" }
}

/// Other services on this host may have cookies that are no text: only our own is decoded.
fn key(request: &HttpRequest, name: &str) -> Option<BrowserKey> {
    let lines = request.headers().get_all(COOKIE);
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs
        .filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .find_map(|value| BrowserKey::from_cookie(std::str::from_utf8(value).ok()?))
}

/// `form-action` names Postiz too: the form of `/device/verify` is answered with a redirect there, which Chromium checks.
fn content_security_policy(front_end: Option<&str>) -> String {
    // Without an address of Postiz, no form is answered with a redirect.
    let postiz = front_end.unwrap_or_default();
    format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self' {postiz}; \
         base-uri 'none'; frame-ancestors 'none'"
    )
}

impl FromRequest for Visitor {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let visitor = |deps: Data<Deps>| {
            let browser = key(request, cookie_name(&deps.config.server_url));
            let viewer = Viewer { address: client_ip(&deps.config, request), browser };
            Self { language: Language::of(request), deps, viewer, new_key: None, reference: None }
        };
        // Fails only if the app has no dependencies.
        ready(Data::extract(request).into_inner().map(visitor))
    }
}

/// A browser's `Accept` names HTML; a program's names JSON or anything.
pub fn is_person(request: &HttpRequest) -> bool {
    let accepts_html = |value: &HeaderValue| value.to_str().is_ok_and(|accept| accept.contains("text/html"));
    request.method() != Method::OPTIONS && request.headers().get_all(ACCEPT).any(accepts_html)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_foreign_cookie_spoils_no_other() {
        let own = BrowserKey::random();
        let found = |cookies: Vec<u8>| {
            let value = HeaderValue::from_bytes(&cookies).unwrap();
            let request = TestRequest::default().append_header((COOKIE, value)).to_http_request();
            key(&request, "__Host-postiz-browser").map(|key| key.to_cookie())
        };
        let ours = format!("__Host-postiz-browser={}", own.to_cookie());
        for before in ["prefs=m\u{fc}nchen; ", "a=\"b\"; ", "__Host-postiz-browser=old; ", "__Host-postiz-browserx=1; "]
        {
            assert_eq!(found(format!("{before}{ours}").into_bytes()), Some(own.to_cookie()), "{before}");
        }
        assert_eq!(found([b"x=\xff\xfe; ", ours.as_bytes()].concat()), Some(own.to_cookie()));
        assert_eq!(found(format!("\u{2000}{ours}").into_bytes()), None, "a name that only looks like ours");
    }
}
