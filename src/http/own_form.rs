//! Whether a form was sent from a page of ours.

use actix_web::HttpRequest;
use actix_web::http::header::ORIGIN;

use crate::config::BaseUrl;

/// False where a browser says that another site's page sent this request.
///
/// `Sec-Fetch-Site` is set by the browser alone. One too old for it sends `Origin` with every form.
/// What sends neither is no browser, and has no cookie to abuse.
pub fn is_own(request: &HttpRequest, server_url: &BaseUrl) -> bool {
    let headers = request.headers();
    if let Some(site) = headers.get("Sec-Fetch-Site") {
        return matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    headers.get_all(ORIGIN).all(|origin| origin.as_bytes() == server_url.origin().as_bytes())
}
