//! The cookie that binds an approval to the browser that confirmed the code.

use actix_web::HttpRequest;
use actix_web::http::header::COOKIE;

use crate::config::BaseUrl;
use crate::grant::BrowserKey;

/// Longer than any grant lives.
const MAX_AGE_SECONDS: u32 = 2 * 60 * 60;

/// With https, the prefix prevents other hosts, sibling subdomains included, from setting it.
fn name(server_url: &BaseUrl) -> &'static str {
    if server_url.is_https() { "__Host-postiz-browser" } else { "postiz-browser" }
}

pub fn read(request: &HttpRequest, server_url: &BaseUrl) -> Option<BrowserKey> {
    let headers = request.headers().get_all(COOKIE).filter_map(|value| value.to_str().ok());
    headers
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name(server_url))
        .find_map(|(_, value)| BrowserKey::from_cookie(value))
}

/// The `Set-Cookie` that gives a browser its key. Lax, so that it comes back with Postiz's redirect.
pub fn set(key: &BrowserKey, server_url: &BaseUrl) -> String {
    let secure = if server_url.is_https() { "; Secure" } else { "" };
    format!(
        "{}={}; Path=/; Max-Age={MAX_AGE_SECONDS}; HttpOnly; SameSite=Lax{secure}",
        name(server_url),
        key.to_cookie()
    )
}
