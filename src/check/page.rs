//! Whether a page arrives through `SERVER_URL` as the server sent it. Many proxies add headers to every answer, or rewrite HTML,
//! and some of that breaks a login without a line in any log.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, SET_COOKIE};

use crate::check::report::{Check, Finding};
use crate::config::Config;
use crate::outbound::{self, Answer, NoAnswer};

const ANSWERS: Check = Check::new("server_url.answers", "Pages rely on the headers that the server sends.");

/// Of each visit.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Two visits of browsers without a cookie.
pub(super) type Visits = [Answer; 2];

pub(super) async fn visit(config: &Config, http: &reqwest::Client) -> Result<Visits, NoAnswer> {
    let visit = || outbound::ask(http.get(config.server_url.join("/device/verify")).timeout(TIMEOUT));
    Ok([visit().await?, visit().await?])
}

pub(super) fn findings(config: &Config, visits: &Result<Visits, NoAnswer>) -> Vec<Finding> {
    let visits = match visits {
        Err(no_answer) => return vec![ANSWERS.skipped(format!("The page for entering a code {no_answer}."))],
        Ok([_, page]) if page.status != 200 => {
            return vec![ANSWERS.skipped(format!("The page for entering a code {}.", page.odd()))];
        }
        Ok(visits) => visits,
    };
    let is_https = config.server_url.is_https();
    let page = &visits[1];
    let changes = [
        referrer_policy(page, is_https),
        security_policy(page),
        cookie(page, is_https),
        cache(visits),
        body(&String::from_utf8_lossy(&page.body)),
    ];
    let findings: Vec<_> = changes.into_iter().flatten().collect();
    if findings.is_empty() { vec![ANSWERS.ok("Pages arrive as the server sends them.")] } else { findings }
}

fn values(page: &Answer, name: HeaderName) -> Vec<&str> {
    page.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
}

/// Browsers follow the last policy.
fn referrer_policy(page: &Answer, is_https: bool) -> Option<Finding> {
    let policies = values(page, REFERRER_POLICY).join(", ");
    let fix = "Don't let the proxy set Referrer-Policy for this address.";
    match policies.rsplit(',').next().unwrap_or_default().trim() {
        "same-origin" => None,
        "no-referrer" if !is_https => Some(ANSWERS.fail(
            "A proxy sets Referrer-Policy: no-referrer. Browsers then hide where a form comes from, so each is refused.",
            fix,
        )),
        _ => Some(ANSWERS.warn(format!("A proxy changes Referrer-Policy from same-origin to {policies:?}."), fix)),
    }
}

/// Browsers enforce all policies at once.
fn security_policy(page: &Answer) -> Option<Finding> {
    let policies = values(page, CONTENT_SECURITY_POLICY);
    let policies: Vec<_> = policies.iter().flat_map(|value| value.split(',')).map(str::trim).collect();
    let fix = "Don't let the proxy set Content-Security-Policy for this address.";
    let ours = ["default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"];
    let is_ours = |policy: &str| ours.iter().all(|directive| policy.contains(directive)) && !policy.contains("sandbox");
    let others: Vec<_> = policies.iter().copied().filter(|policy| !is_ours(policy)).collect();
    let added = others.join(", ");
    match others.len() {
        0 if policies.len() == 1 => None,
        0 => Some(ANSWERS.warn("A proxy removes or repeats the Content-Security-Policy of the pages.", fix)),
        _ if added.contains("sandbox") || added.contains("form-action") => {
            Some(ANSWERS.fail(format!("A proxy sets Content-Security-Policy: {added}. It blocks forms."), fix))
        }
        _ => Some(ANSWERS.warn(format!("A proxy sets Content-Security-Policy: {added}."), fix)),
    }
}

fn cookie(page: &Answer, is_https: bool) -> Option<Finding> {
    let name = if is_https { "__Host-postiz-browser" } else { "postiz-browser" };
    let fix = "Let the proxy pass Set-Cookie on unchanged.";
    let cookie = values(page, SET_COOKIE).into_iter().find_map(|cookie| cookie.strip_prefix(name)?.split_once(';'));
    let Some((_, attributes)) = cookie else {
        return Some(ANSWERS.fail(format!("The cookie {name} does not arrive, so no login can be finished."), fix));
    };
    let lower = attributes.to_ascii_lowercase();
    let found: BTreeSet<_> = lower.split(';').map(str::trim).filter(|it| !it.starts_with("max-age=")).collect();
    let ours = ["httponly", "path=/", "samesite=lax"].into_iter().chain(is_https.then_some("secure"));
    (found != ours.collect())
        .then(|| ANSWERS.fail(format!("A proxy changes the cookie {name}. Its attributes are{attributes}."), fix))
}

/// Each visit gets a cookie of its own. `Age: 0` also stands on answers that were not cached.
fn cache([first, page]: &Visits) -> Option<Finding> {
    let cookies = [first, page].map(|page| values(page, SET_COOKIE));
    let is_repeated = !cookies[1].is_empty() && cookies[0] == cookies[1];
    let directives = values(page, CACHE_CONTROL).join(", ");
    let fix = "Don't let the proxy cache this address, or only the paths below /assets/.";
    if is_repeated || page.header("age").is_some_and(|age| age != "0") {
        Some(ANSWERS.fail("A proxy caches pages: one person gets the page and the cookie of another.", fix))
    } else if !directives.split(',').any(|directive| directive.trim() == "no-store") {
        Some(ANSWERS.fail(format!("A proxy changes Cache-Control from no-store to {directives:?}."), fix))
    } else {
        None
    }
}

fn body(html: &str) -> Option<Finding> {
    let fix = "Turn off what rewrites HTML for this address, such as an optimizer, a minifier or analytics.";
    let has_form = ["<form", "/device/verify", "user_code"].iter().all(|part| html.contains(part));
    let has_script = html.matches("<script").count() == 1 && html.contains("/assets/script");
    if !has_form {
        return Some(ANSWERS.fail("A proxy rewrites HTML: the page for entering a code has no form of ours.", fix));
    }
    (!has_script).then(|| ANSWERS.warn("A proxy rewrites HTML: the scripts of a page are not ours.", fix))
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;
    use crate::check::report::Verdict;

    const HTML: &str = "<script src=\"/assets/script.1a2b.js\" defer></script><form method=\"post\" action=\"/device/verify\">\
                        <input name=\"user_code\"></form>";
    const COOKIE: &str = "__Host-postiz-browser=KEY; Path=/; Max-Age=7200; HttpOnly; SameSite=Lax; Secure";
    const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self' \
                          https://postiz.example.com; base-uri 'none'; frame-ancestors 'none'";

    /// A page as the server sends it, with a cookie of its own and with these headers instead.
    fn page(key: &str, instead: &[(&'static str, &'static str)], html: &str) -> Answer {
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
        for (name, value) in instead {
            match (value.strip_prefix('+'), value.is_empty()) {
                (Some(more), _) => drop(headers.append(*name, more.parse().unwrap())),
                (None, true) => drop(headers.remove(*name)),
                (None, false) => drop(headers.insert(*name, value.parse().unwrap())),
            }
        }
        Answer { status: StatusCode::OK, headers, body: html.as_bytes().to_vec() }
    }

    fn judged(server_url: &str, visits: Visits) -> Vec<Finding> {
        let variables = [("DATABASE_URL", "postgres://auth:x@localhost/auth"), ("SERVER_URL", server_url)];
        let config = Config::from_vars(variables.map(|(name, value)| (name.into(), value.into()))).unwrap();
        findings(&config, &Ok(visits))
    }

    #[test]
    fn each_change_of_a_proxy_is_named() {
        use Verdict::{Fail, Ok, Warn};
        for (instead, verdict, word) in [
            (&[][..], Ok, "as the server sends them"),
            (&[("age", "0")], Ok, "as the server sends them"),
            (&[("referrer-policy", "no-referrer")], Warn, "no-referrer"),
            (&[("referrer-policy", "+strict-origin")], Warn, "strict-origin"),
            (&[("content-security-policy", "+sandbox")], Fail, "sandbox"),
            (&[("content-security-policy", "+upgrade-insecure-requests")], Warn, "upgrade-insecure-requests"),
            (&[("content-security-policy", "form-action 'self'")], Fail, "form-action"),
            (&[("content-security-policy", "")], Warn, "removes"),
            (&[("set-cookie", "")], Fail, "does not arrive"),
            (
                &[("set-cookie", "__Host-postiz-browser=k; Path=/auth; HttpOnly; SameSite=Lax; Secure")],
                Fail,
                "Path=/auth",
            ),
            (
                &[("set-cookie", "__Host-postiz-browser=k; Path=/; HttpOnly; SameSite=Strict; Secure")],
                Fail,
                "SameSite=Strict",
            ),
            (&[("age", "7")], Fail, "caches"),
            (&[("cache-control", "public, max-age=60")], Fail, "max-age=60"),
        ] {
            let found = judged("https://auth.example.com", [page("one", instead, HTML), page("two", instead, HTML)]);
            let finding = &found[0];
            assert!(finding.verdict == verdict && finding.what.contains(word), "{instead:?}: {found:?}");
        }
    }

    #[test]
    fn a_cached_page_without_a_sign_of_it_is_recognised_by_its_cookie() {
        let found = judged("https://auth.example.com", [page("one", &[], HTML), page("one", &[], HTML)]);
        assert!(found[0].verdict == Verdict::Fail && found[0].what.contains("caches"), "{found:?}");
    }

    #[test]
    fn rewritten_html_is_recognised() {
        for (html, verdict) in [
            (HTML.replace("<form", "<div"), Verdict::Fail),
            (format!("<script src=\"/cdn-cgi/rocket-loader.min.js\"></script>{HTML}"), Verdict::Warn),
            (HTML.replace('"', ""), Verdict::Ok),
        ] {
            let found = judged("https://auth.example.com", [page("one", &[], &html), page("two", &[], &html)]);
            assert_eq!(found[0].verdict, verdict, "{html}: {found:?}");
        }
    }

    #[test]
    fn over_plain_http_no_referrer_breaks_every_form() {
        let cookie = [("set-cookie", "postiz-browser=k; Path=/; Max-Age=7200; HttpOnly; SameSite=Lax")];
        let first = page("one", &[("set-cookie", "")], HTML);
        let found = judged("http://nas.lan", [first, page("two", &cookie, HTML)]);
        assert_eq!(found[0].verdict, Verdict::Ok, "{found:?}");
        let changed = [cookie[0], ("referrer-policy", "no-referrer")];
        let found = judged("http://nas.lan", [page("one", &[], HTML), page("two", &changed, HTML)]);
        assert_eq!(found[0].verdict, Verdict::Fail, "{found:?}");
    }
}
