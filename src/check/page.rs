//! Whether a page arrives through `SERVER_URL` as the server sent it. Many proxies change headers of every answer, and some of
//! that breaks a login without a line in any log.

use std::time::Duration;

use reqwest::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, SET_COOKIE};

use crate::check::report::Finding;
use crate::config::Config;
use crate::outbound::{self, Answer};

const ANSWERS: &str = "server_url.answers";
const FIX: &str = "Let the proxy pass the server's headers on unchanged, and cache only the paths below /assets/.";
/// For each visit.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Visits the page twice, as browsers without a cookie.
pub(super) async fn findings(config: &Config, http: &reqwest::Client) -> Vec<Finding> {
    let visit = || outbound::ask(http.get(config.server_url.join("/device/verify")).timeout(TIMEOUT));
    let findings = match (visit().await, visit().await) {
        (Ok(first), Ok(page)) if page.status == 200 => changes(&first, &page, config.server_url.is_https()),
        (_, Ok(page)) => vec![Finding::skipped(ANSWERS, format!("The page for entering a code {}.", page.odd()))],
        (_, Err(error)) => vec![Finding::skipped(ANSWERS, format!("The page for entering a code {error}."))],
    };
    let unchanged = || vec![Finding::ok(ANSWERS, "Pages arrive as the server sends them.")];
    if findings.is_empty() { unchanged() } else { findings }
}

fn changes(first: &Answer, page: &Answer, is_https: bool) -> Vec<Finding> {
    let referrer = values(page, REFERRER_POLICY).join(", ");
    // Browsers enforce all policies at once.
    let policies = values(page, CONTENT_SECURITY_POLICY).join(", ");
    let is_ours = |policy: &str| policy.contains("default-src 'none'") && !policy.contains("sandbox");
    let others: Vec<_> = policies.split(", ").filter(|policy| !is_ours(policy)).collect();
    let blocks_forms = others.iter().any(|policy| policy.contains("sandbox") || policy.contains("form-action"));
    let (name, secure) = if is_https { ("__Host-postiz-browser", Some("secure")) } else { ("postiz-browser", None) };
    let cookie = |page| values(page, SET_COOKIE).into_iter().find(|cookie| cookie.starts_with(name));
    let ours = cookie(page).unwrap_or_default().to_ascii_lowercase();
    let has = |attribute| ours.split(';').any(|part| part.trim() == attribute);
    let is_kept = ["path=/", "httponly", "samesite=lax"].into_iter().chain(secure).all(has);
    let is_cached = page.header("age").is_some_and(|age| age != "0")
        || !values(page, CACHE_CONTROL).join(", ").contains("no-store")
        || cookie(page).is_some() && cookie(page) == cookie(first);
    let changes = [
        (referrer != "same-origin", !is_https, format!("sets Referrer-Policy {referrer:?}: it may have forms refused")),
        (!others.is_empty(), blocks_forms, format!("sets Content-Security-Policy {policies:?}: it may block forms")),
        (!is_kept, true, format!("changes the cookie {name} or removes it: no login can be finished")),
        (is_cached, true, "caches pages: one person gets the page and the cookie of another".to_owned()),
    ];
    let changes = changes.into_iter().filter(|(is_changed, ..)| *is_changed);
    let finding = |(_, breaks, what)| {
        let what = format!("A proxy {what}.");
        if breaks { Finding::fail(ANSWERS, what, FIX) } else { Finding::warn(ANSWERS, what, FIX) }
    };
    changes.map(finding).collect()
}

fn values(page: &Answer, name: HeaderName) -> Vec<&str> {
    page.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;
    use crate::check::report::Verdict;

    const COOKIE: &str = "__Host-postiz-browser=KEY; Path=/; Max-Age=7200; HttpOnly; SameSite=Lax; Secure";
    const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self' \
                          https://postiz.example.com; base-uri 'none'; frame-ancestors 'none'";

    /// A page as the server sends it, with a cookie of its own and with this header instead.
    fn page(key: &str, (name, value): (&'static str, &str)) -> Answer {
        let mut headers = HeaderMap::new();
        let cookie = COOKIE.replace("KEY", key);
        for (name, value) in [
            ("referrer-policy", "same-origin"),
            ("content-security-policy", POLICY),
            ("set-cookie", &cookie),
            ("cache-control", "no-store"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        match value.strip_prefix('+') {
            Some(more) => drop(headers.append(name, more.parse().unwrap())),
            None => drop(headers.insert(name, value.parse().unwrap())),
        }
        Answer { status: StatusCode::OK, headers, body: Vec::new() }
    }

    #[test]
    fn each_change_of_a_proxy_is_named() {
        use Verdict::{Fail, Warn};
        for (instead, is_https, expected) in [
            (("age", "0"), true, None),
            (("set-cookie", "+AWSALB=x; Expires=Thu, 01 Jan 2026 00:00:00 GMT"), true, None),
            (("referrer-policy", "no-referrer"), true, Some((Warn, "no-referrer"))),
            (("referrer-policy", "+strict-origin"), true, Some((Warn, "strict-origin"))),
            (("content-security-policy", "+sandbox"), true, Some((Fail, "sandbox"))),
            (
                ("content-security-policy", "+upgrade-insecure-requests"),
                true,
                Some((Warn, "upgrade-insecure-requests")),
            ),
            (("content-security-policy", "form-action 'self'"), true, Some((Fail, "form-action"))),
            (("content-security-policy", ""), true, Some((Warn, "Content-Security-Policy"))),
            (("set-cookie", ""), true, Some((Fail, "__Host-postiz-browser"))),
            (
                ("set-cookie", "__Host-postiz-browser=k; Path=/auth; HttpOnly; SameSite=Lax; Secure"),
                true,
                Some((Fail, "cookie")),
            ),
            (("age", "7"), true, Some((Fail, "caches"))),
            (("cache-control", "public, max-age=60"), true, Some((Fail, "caches"))),
            (("set-cookie", "postiz-browser=k; Path=/; HttpOnly; SameSite=Lax"), false, None),
        ] {
            let found = changes(&page("one", ("age", "0")), &page("two", instead), is_https);
            let found: Vec<_> = found.iter().map(|finding| (finding.verdict, finding.what.as_str())).collect();
            match (&found[..], expected) {
                ([], None) => {}
                ([(verdict, what)], Some((expected, word))) if *verdict == expected && what.contains(word) => {}
                _ => panic!("{instead:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_cached_page_without_a_sign_of_it_is_recognised_by_its_cookie() {
        let [first, page] = [(); 2].map(|()| page("one", ("age", "0")));
        assert!(changes(&first, &page, true)[0].what.contains("caches"));
    }

    #[test]
    fn over_plain_http_no_referrer_breaks_every_form() {
        let [first, page] = ["one", "two"].map(|key| page(key, ("referrer-policy", "no-referrer")));
        assert_eq!(changes(&first, &page, false)[0].verdict, Verdict::Fail);
    }
}
