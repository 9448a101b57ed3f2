//! How a request came about, by the headers that only a browser can set (Fetch Metadata, `Origin`).

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use url::{Host, Url};

use crate::config::BaseUrl;
use crate::http::errors::ClientError;

/// How a browser came to a link with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// A program such as the terminal opened the link, somebody typed it, or it is on a page of ours. Browsers without Fetch
    /// Metadata arrive like this too.
    Direct,
    /// A page of another site leads here: by a link, a redirect or a script.
    OtherSite,
    /// No person follows the link: an image, a frame, a script, or a speculative load.
    NotFollowed,
}

impl Arrival {
    pub fn of(request: &HttpRequest, server_url: &BaseUrl) -> Self {
        let headers = request.headers();
        let says = |name, expected: &[&str]| {
            headers.get_all(name).all(|value| value.to_str().is_ok_and(|value| expected.contains(&value)))
        };
        // A page may ask the browser to load a link in advance; Chromium then says `none`, as for a typed link.
        let is_followed = says("Sec-Fetch-Mode", &["navigate"])
            && says("Sec-Fetch-Dest", &["document"])
            && !headers.contains_key("Sec-Purpose");
        if !is_followed {
            Self::NotFollowed
        } else if !says("Sec-Fetch-Site", &["none", "same-origin"]) || may_be_rebound(headers, server_url) {
            Self::OtherSite
        } else {
            Self::Direct
        }
    }
}

/// Whether `Host` may be the name of another site that leads here by DNS rebinding, whose pages could then read our answers.
///
/// A certificate prevents that, so only plain http is concerned, where browsers send no Fetch Metadata either. An address
/// can't be rebound; neither can a name without a dot, such as that of the upstream that a proxy writes into `Host`.
fn may_be_rebound(headers: &HeaderMap, server_url: &BaseUrl) -> bool {
    if server_url.is_https() {
        return false;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(Ok(url)) = host.map(|host| format!("http://{host}").parse::<Url>()) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name.contains('.') && url.host_str() != server_url.join("").host_str(),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => false,
    }
}

/// The CSRF check: whether the browser says that a page of ours sent this form. Each browser sends `Origin` or `Sec-Fetch-Site`
/// with a form, so a request without both is refused.
///
/// `Origin` has to be that of `SERVER_URL` even if `Sec-Fetch-Site` says `same-origin`: after DNS rebinding, another site's
/// name leads here, and its pages are of one origin with ours. With https a certificate prevents that. So there `same-origin` is
/// enough beside `Origin: null`, which a proxy causes that adds `Referrer-Policy: no-referrer` to our pages.
pub fn is_own_form(request: &HttpRequest, server_url: &BaseUrl) -> bool {
    let own = server_url.origin();
    let sites = || request.headers().get_all("Sec-Fetch-Site").map(HeaderValue::as_bytes);
    let null_is_own = server_url.is_https() && sites().eq([b"same-origin".as_slice()]);
    let origins = request.headers().get_all(ORIGIN).map(HeaderValue::as_bytes);
    let origins = origins.map(|origin| origin == own.as_bytes() || null_is_own && origin == b"null");
    let mut claims = origins.chain(sites().map(|site| matches!(site, b"same-origin" | b"none"))).peekable();
    claims.peek().is_some() && claims.all(|is_own| is_own)
}

/// Whether a page of ours leads here by a redirect or a link, as far as the browser says so.
pub fn is_same_origin(request: &HttpRequest) -> bool {
    request.headers().get("Sec-Fetch-Site").is_some_and(|site| site == "same-origin")
}

/// Refuses requests that a web page sent: a page has no business with device codes, and would act from its visitor's
/// network. No program sends these headers.
pub fn refuse_pages(request: &HttpRequest) -> Result<(), ClientError> {
    let headers = request.headers();
    if headers.contains_key(ORIGIN) || headers.contains_key("Sec-Fetch-Site") {
        return Err(ClientError::WebPage);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn arrival(server_url: &str, headers: &[(&'static str, &'static str)]) -> Arrival {
        let request = headers.iter().fold(TestRequest::default(), |request, header| request.append_header(*header));
        Arrival::of(&request.to_http_request(), &server_url.parse().unwrap())
    }

    /// As Chromium sends them.
    #[test]
    fn only_a_followed_link_is_entered_and_only_from_outside_the_web() {
        const DIRECT: Arrival = Arrival::Direct;
        for (site, mode, dest, expected) in [
            ("none", "navigate", "document", DIRECT),
            ("same-origin", "navigate", "document", DIRECT),
            ("cross-site", "navigate", "document", Arrival::OtherSite),
            ("same-site", "navigate", "document", Arrival::OtherSite),
            ("", "navigate", "document", Arrival::OtherSite),
            ("cross-site", "no-cors", "image", Arrival::NotFollowed),
            ("cross-site", "navigate", "iframe", Arrival::NotFollowed),
            ("cross-site", "navigate", "embed", Arrival::NotFollowed),
            ("cross-site", "no-cors", "empty", Arrival::NotFollowed),
            ("same-origin", "cors", "empty", Arrival::NotFollowed),
        ] {
            let headers = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest)];
            assert_eq!(arrival("https://auth.example.com", &headers), expected, "{headers:?}");
        }
        assert_eq!(arrival("https://auth.example.com", &[]), DIRECT, "an old browser");
        for purpose in ["prefetch", "prefetch;prerender"] {
            let headers = [("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Purpose", purpose)];
            assert_eq!(arrival("https://auth.example.com", &headers), Arrival::NotFollowed);
        }
    }

    #[test]
    fn another_sites_name_is_another_site_under_plain_http() {
        let host = |server_url, host| arrival(server_url, &[("Host", host)]);
        assert_eq!(host("http://auth.lan:3000", "evil.example:3000"), Arrival::OtherSite);
        // Its own name, addresses, and what proxies write.
        for own in ["auth.lan:3000", "AUTH.LAN", "192.168.1.5:3000", "[fd00::1]:3000", "localhost:3000", "upstream", ""]
        {
            assert_eq!(host("http://auth.lan:3000", own), Arrival::Direct, "{own}");
        }
        assert_eq!(host("https://auth.example.com", "backend.internal.example"), Arrival::Direct);
    }

    #[test]
    fn a_form_of_ours_is_told_by_its_origin() {
        let is_own = |server_url: &str, headers: &[(&'static str, &'static str)]| {
            let request = headers.iter().fold(TestRequest::default(), |request, header| request.append_header(*header));
            is_own_form(&request.to_http_request(), &server_url.parse().unwrap())
        };
        let (https, http) = ("https://auth.example.com/x", "http://auth.lan");
        let (origin, null) = (("Origin", "https://auth.example.com"), ("Origin", "null"));
        let (same, cross) = (("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site"));
        assert!(is_own(https, &[origin, same]) && is_own(https, &[origin]) && is_own(https, &[same]));
        assert!(is_own(http, &[("Origin", "http://auth.lan")]));
        assert!(is_own(https, &[null, same]), "a proxy adds Referrer-Policy: no-referrer");
        assert!(!is_own(http, &[null, same]), "after DNS rebinding, a page of the other site says so");
        for refused in [&[][..], &[null], &[origin, cross], &[null, cross], &[("Origin", "https://evil.example"), same]]
        {
            assert!(!is_own(https, refused), "{refused:?}");
        }
        assert!(!is_own(https, &[null, same, cross]) && !is_own(https, &[("Origin", "http://auth.example.com")]));
    }
}
