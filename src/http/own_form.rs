//! The CSRF check: whether a form was sent from a page of ours.

use actix_web::HttpRequest;
use actix_web::http::header::ORIGIN;

use crate::config::BaseUrl;

/// True if the browser says that a page of ours sent this form. Each browser sends `Origin` or `Sec-Fetch-Site` with a
/// form, so a request without both is refused.
///
/// `Origin` has to be that of `SERVER_URL` even if `Sec-Fetch-Site` says `same-origin`: after DNS rebinding, another site's
/// name leads here, and its pages are of one origin with ours. Under another name no login succeeds in any case, because
/// the callback would arrive without the cookie.
pub fn is_own(request: &HttpRequest, server_url: &BaseUrl) -> bool {
    let own = server_url.origin();
    let origins = request.headers().get_all(ORIGIN).map(|origin| origin.as_bytes() == own.as_bytes());
    let sites = request.headers().get_all("Sec-Fetch-Site");
    let mut claims = origins.chain(sites.map(|site| matches!(site.as_bytes(), b"same-origin" | b"none"))).peekable();
    claims.peek().is_some() && claims.all(|is_own| is_own)
}
