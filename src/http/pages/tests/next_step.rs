//! The steps that a page offers, and the warnings before them.

use std::time::Duration;

use super::super::{Action, Retry};
use super::*;
use crate::grant::{CodeProblem, Done, Proximity};
use crate::postiz::Reason;

fn code() -> grant::UserCode {
    "BCDF-GHJK".parse().unwrap()
}

#[test]
fn a_login_from_the_same_network_takes_one_click() {
    let html = confirm(sample_confirm());
    assert_eq!(select(&html, "form").len(), 1);
    assert!(text(&html).contains("BCDF-GHJK"));
    let code = select(&html, r#"form[method="post"][action="/auth/device/verify"] > input[name="user_code"]"#)[0];
    assert_eq!(code.value().attr("type"), Some("hidden"));
    assert_eq!(code.value().attr("value"), Some("BCDF-GHJK"));
    let actions: Vec<_> = select(&html, r#"button[name="action"]"#).iter().map(|b| b.value().attr("value")).collect();
    assert_eq!(actions, [Some("continue"), Some("deny")]);
}

#[test]
fn a_login_from_another_network_is_typed_and_shows_both_addresses() {
    let confirmation = Confirmation {
        prefilled: false,
        proximity: Proximity::OtherNetwork,
        requester: "203.0.113.7".parse().ok(),
        viewer: "2001:db8::5".parse().ok(),
        ..sample_confirm()
    };
    let html = confirm(confirmation);
    let field = select(&html, r#"input[name="user_code"]:not([type="hidden"])"#)[0].value();
    assert_eq!(field.attr("value"), Some(""));
    assert!(field.attr("required").is_some());
    let text = text(&html);
    assert!(!text.contains("BCDF-GHJK"), "it would only be copied");
    assert!(text.contains("another network") && text.contains("203.0.113.7") && text.contains("2001:db8::5"));
}

#[test]
fn a_login_is_denied_without_typing_its_code() {
    let html = confirm(Confirmation { prefilled: false, ..sample_confirm() });
    assert_eq!(select(&html, r#"button[name="action"][value="deny"][form="deny"]"#).len(), 1);
    let code = select(&html, r#"form#deny[method="post"] > input[type="hidden"][name="user_code"]"#)[0];
    assert_eq!(code.value().attr("value"), Some("BCDF-GHJK"));
}

#[test]
fn a_person_is_warned_before_approving_for_an_inactive_terminal() {
    let shown =
        |inactive, has_own_client| text(&confirm(Confirmation { inactive, has_own_client, ..sample_confirm() }));
    for (has_own_client, warning) in
        [(true, "Approving now wouldn’t sign it in. Start"), (false, "only sign out your other machines")]
    {
        let inactive = shown(true, has_own_client);
        assert!(inactive.find(warning).unwrap() < inactive.find("Continue anyway").unwrap(), "{inactive}");
        let waiting = shown(false, has_own_client);
        assert!(!waiting.contains(warning) && waiting.contains("Continue to Postiz"), "{waiting}");
    }
}

#[test]
fn a_page_names_the_next_step_at_postiz_or_the_login_that_the_approval_ends() {
    let shown = |has_own_client| text(&confirm(Confirmation { has_own_client, ..sample_confirm() }));
    let (own, app) = (shown(true), shown(false));
    assert!(own.contains("Postiz will show this code") && !own.contains("signs out the other machines"), "{own}");
    assert!(app.contains("signs out the other machines") && !app.contains("Postiz will show"), "{app}");
}

#[test]
fn a_code_confirmed_in_another_browser_is_flagged() {
    let flagged = |several_browsers| {
        text(&confirm(Confirmation { several_browsers, ..sample_confirm() })).contains("another browser")
    };
    assert!(flagged(true));
    assert!(!flagged(false));
}

#[test]
fn a_failed_exchange_offers_the_step_that_can_succeed() {
    let html = english(&Page::TryAgain { reason: Reason::Slow, retry: Retry::Reload });
    assert_eq!(select(&html, r#"main a[href=""]"#).len(), 1, "the same URL, with its query");
    let html = english(&Page::ApproveAgain { user_code: code(), reason: Reason::CodeRefused });
    let fields: Vec<_> =
        select(&html, "form input").iter().map(|i| (i.value().attr("name"), i.value().attr("value"))).collect();
    assert_eq!(fields, [(Some("user_code"), Some("BCDF-GHJK")), (Some("action"), Some("continue"))]);
}

#[test]
fn a_page_repeats_its_request_by_itself() {
    let one_moment = |retry| english(&Page::OneMoment { retry });
    let busy = |retry| english(&Page::RateLimited { retry_after: Duration::from_millis(2_100), retry });
    let pages: [(&dyn Fn(Retry) -> Html, _); 2] = [(&one_moment, "4"), (&busy, "3")];
    for (page, seconds) in pages {
        let reload = page(Retry::Reload);
        let link = select(&reload, r#"a[href=""]"#)[0].value();
        assert_eq!(link.attr("data-retry-seconds"), Some(seconds));
        assert_eq!(select(&reload, "head noscript").len(), 1, "without script as well");
        let submit = page(Retry::Submit(code(), Action::View));
        assert_eq!(select(&submit, "form")[0].value().attr("data-retry-seconds"), Some(seconds));
        assert_eq!(select(&submit, r#"form input[name="user_code"]"#).len(), 1);
        assert!(select(&submit, "noscript").is_empty());
    }
}

#[test]
fn a_long_wait_or_a_missing_cookie_is_left_to_the_person() {
    let limited = english(&Page::RateLimited { retry_after: Duration::from_secs(712), retry: Retry::Reload });
    assert!(text(&limited).contains("Come back in 12\u{a0}min."), "{}", text(&limited));
    let no_cookie = english(&Page::NoCookie { retry: Retry::Reload });
    assert!(text(&no_cookie).contains("Allow cookies for this site"), "{}", text(&no_cookie));
    for html in [limited, no_cookie] {
        assert_eq!(select(&html, r#"main a[href=""]"#).len(), 1);
        assert!(select(&html, "[data-retry-seconds], noscript").is_empty());
    }
}

#[test]
fn a_stopped_login_warns_of_sent_links_and_starts_anew() {
    let html = english(&Page::Done(Done::Stopped));
    let text = text(&html);
    assert!(text.contains("a link that somebody sent you") && text.contains("Nothing was shared"), "{text}");
    assert_eq!(select(&html, ".command code")[0].text().collect::<String>(), LOGIN);
    assert!(select(&html, "main a, main form").is_empty(), "nothing on the page goes on with this login");
}

#[test]
fn a_refused_token_is_explained_by_the_organization() {
    let html = english(&Page::Done(Done::TokenRefused));
    let text = text(&html);
    for part in ["no active subscription", "the wrong organization", "works without another login"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(select(&html, ".command code").len(), 1);
}

#[test]
fn a_denied_code_shows_the_denied_page() {
    let entered = Page::EnterCode { problem: Some(CodeProblem::Denied), typed: "BCDF-GHJK".to_owned() };
    let denied = Page::Done(Done::Denied);
    assert_eq!(english(&entered).html(), english(&denied).html());
    assert_eq!(
        render(&entered, &context(&CONFIG, &LANGUAGES[0])).0,
        render(&denied, &context(&CONFIG, &LANGUAGES[0])).0
    );
}

#[test]
fn a_client_is_quoted_by_its_own_name() {
    let named = Confirmation { client_name: Some("nightly-report".to_owned()), ..sample_confirm() };
    let html = confirm(named);
    assert!(text(&html).contains("The program calls itself “nightly-report”, a name that any program can choose."));
    assert_eq!(select(&html, "p > bdi")[0].text().collect::<String>(), "nightly-report");
    assert!(!text(&confirm(sample_confirm())).contains("calls itself"));
}

#[test]
fn the_organization_is_chosen_at_postiz_in_a_new_tab() {
    let page = Page::Confirm(sample_confirm().into());
    let html = english(&page);
    assert!(text(&html).contains("Access is to the organization now selected in Postiz; switch"), "{}", text(&html));
    let link = select(&html, r#"p > a[href="https://postiz.example.com"]"#)[0].value();
    assert_eq!((link.attr("target"), link.attr("rel")), (Some("_blank"), Some("noopener")));
    let unknown = PageContext { postiz_url: None, ..context(&CONFIG, &LANGUAGES[0]) };
    let html = Html::parse_document(&render(&page, &unknown).1);
    assert!(text(&html).contains("now selected in Postiz; switch") && select(&html, "main p > a[target]").is_empty());
}

#[test]
fn the_footer_names_the_operator() {
    let footer = |operator_name: Option<&str>, operator_url: Option<&str>| {
        let operator_url = operator_url.map(|url| url.parse().unwrap());
        let config = Config { operator_name: operator_name.map(str::to_owned), operator_url, ..CONFIG.clone() };
        let context = PageContext { reference: None, ..context(&config, &LANGUAGES[0]) };
        let html = Html::parse_document(&render(&Page::Home, &context).1);
        let links: Vec<_> = select(&html, "footer a").iter().filter_map(|link| link.value().attr("href")).collect();
        (select(&html, "footer")[0].text().collect::<String>().trim().to_owned(), links.join(" "))
    };
    for (name, url, text, link) in [
        (Some("Example"), Some("mailto:a@example.com"), "Example", "mailto:a@example.com"),
        (None, Some("https://example.com/"), "About this server", "https://example.com/"),
        (Some("Example"), None, "Example", ""),
        (None, None, "", ""),
    ] {
        assert_eq!(footer(name, url), (text.to_owned(), link.to_owned()));
    }
}

#[test]
fn an_ipv6_address_breaks_between_its_groups() {
    let requester = "2001:db8:85a3:1234:5678:8a2e:1370:7334".parse().ok();
    let html = confirm(Confirmation { requester, proximity: Proximity::CannotTell, ..sample_confirm() });
    assert_eq!(
        select(&html, "dd bdi")[0].inner_html().replace("<wbr>", "|"),
        "2001:|db8:|85a3:|1234:|5678:|8a2e:|1370:|7334"
    );
}
