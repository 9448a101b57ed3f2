//! The CSRF check: whether a form was sent from a page of ours.

use actix_web::HttpRequest;
use actix_web::http::header::ORIGIN;

use crate::config::BaseUrl;

/// False if a browser says that another site's page sent this request.
///
/// Only the browser can set `Sec-Fetch-Site`. An older browser sends `Origin` with every form. A client that sends neither
/// is not a browser, and has no cookie to abuse.
pub fn is_own(request: &HttpRequest, server_url: &BaseUrl) -> bool {
    let headers = request.headers();
    if let Some(site) = headers.get("Sec-Fetch-Site") {
        return matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    headers.get_all(ORIGIN).all(|origin| origin.as_bytes() == server_url.origin().as_bytes())
}
