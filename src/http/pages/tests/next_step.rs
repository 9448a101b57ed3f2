//! The steps that a page offers, and the warnings before them.

use super::super::Retry;
use super::*;
use crate::grant::{Proximity, Terminal};
use crate::postiz::Reason;

#[test]
fn a_login_from_the_same_network_takes_one_click() {
    let html = english(&Page::Confirm(sample_confirm()));
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
    let confirm = Confirmation {
        prefilled: false,
        proximity: Proximity::OtherNetwork,
        requester: "203.0.113.7".parse().ok(),
        viewer: "2001:db8::5".parse().ok(),
        ..sample_confirm()
    };
    let html = english(&Page::Confirm(confirm));
    let field = select(&html, r#"input[name="user_code"]:not([type="hidden"])"#)[0].value();
    assert_eq!(field.attr("value"), Some(""));
    assert!(field.attr("required").is_some());
    let text = text(&html);
    assert!(!text.contains("BCDF-GHJK"), "it would only be copied");
    assert!(text.contains("another network") && text.contains("203.0.113.7") && text.contains("2001:db8::5"));
}

#[test]
fn a_login_is_denied_without_typing_its_code() {
    let html = english(&Page::Confirm(Confirmation { prefilled: false, ..sample_confirm() }));
    assert_eq!(select(&html, r#"button[name="action"][value="deny"][form="deny"]"#).len(), 1);
    let code = select(&html, r#"form#deny[method="post"] > input[type="hidden"][name="user_code"]"#)[0];
    assert_eq!(code.value().attr("value"), Some("BCDF-GHJK"));
}

#[test]
fn a_person_is_warned_before_approving_for_an_inactive_terminal() {
    let shown = |terminal, has_own_client| {
        text(&english(&Page::Confirm(Confirmation { terminal, has_own_client, ..sample_confirm() })))
    };
    for (has_own_client, warning) in
        [(true, "Approving now wouldn’t sign it in. Start"), (false, "only sign out your other machines")]
    {
        let inactive = shown(Terminal::Inactive, has_own_client);
        assert!(inactive.find(warning).unwrap() < inactive.find("Continue anyway").unwrap(), "{inactive}");
        let waiting = shown(Terminal::Waiting, has_own_client);
        assert!(!waiting.contains(warning) && waiting.contains("Continue to Postiz"), "{waiting}");
    }
}

#[test]
fn a_page_names_the_next_step_at_postiz_or_the_login_that_the_approval_ends() {
    let shown = |has_own_client| text(&english(&Page::Confirm(Confirmation { has_own_client, ..sample_confirm() })));
    let (own, app) = (shown(true), shown(false));
    assert!(own.contains("Postiz will show this code") && !own.contains("signs out the other machines"), "{own}");
    assert!(app.contains("signs out the other machines") && !app.contains("Postiz will show"), "{app}");
}

#[test]
fn a_code_confirmed_in_another_browser_is_flagged() {
    let flagged = |several_browsers| {
        text(&english(&Page::Confirm(Confirmation { several_browsers, ..sample_confirm() })))
            .contains("another browser")
    };
    assert!(flagged(true));
    assert!(!flagged(false));
}

#[test]
fn a_failed_exchange_offers_the_step_that_can_succeed() {
    let html = english(&Page::TryAgain { reason: Reason::Slow, retry: Retry::Reload });
    assert_eq!(select(&html, r#"main a[href=""]"#).len(), 1, "the same URL, with its query");
    let html = english(&Page::ApproveAgain { user_code: "BCDF-GHJK".to_owned(), reason: Reason::CodeRefused });
    let fields: Vec<_> =
        select(&html, "form input").iter().map(|i| (i.value().attr("name"), i.value().attr("value"))).collect();
    assert_eq!(fields, [(Some("user_code"), Some("BCDF-GHJK")), (Some("action"), Some("continue"))]);
}

#[test]
fn a_page_repeats_its_request_by_itself() {
    let one_moment = |retry| english(&Page::OneMoment { retry });
    let overloaded = |retry| english(&Page::Overloaded { retry, retry_after_seconds: 7 });
    let pages: [(&dyn Fn(Retry) -> Html, _); 2] = [(&one_moment, "4"), (&overloaded, "7")];
    for (page, seconds) in pages {
        let reload = page(Retry::Reload);
        let link = select(&reload, r#"a[href=""]"#)[0].value();
        assert_eq!(link.attr("data-retry-seconds"), Some(seconds));
        assert_eq!(select(&reload, "head noscript").len(), 1, "without script as well");
        let submit = page(Retry::Submit { user_code: "BCDF-GHJK".to_owned(), action: None });
        assert_eq!(select(&submit, "form")[0].value().attr("data-retry-seconds"), Some(seconds));
        assert_eq!(select(&submit, r#"form input[name="user_code"]"#).len(), 1);
        assert!(select(&submit, r#"input[name="action"], noscript"#).is_empty());
    }
}

#[test]
fn a_login_ended_by_the_wrong_browser_warns_of_sent_links_and_starts_anew() {
    let html = english(&Page::WrongBrowserEnded);
    let text = text(&html);
    assert!(text.contains("a link that somebody sent you") && text.contains("Nothing was shared"), "{text}");
    assert_eq!(select(&html, ".command code")[0].text().collect::<String>(), LOGIN);
    assert!(select(&html, "main a, main form").is_empty(), "nothing on the page goes on with this login");
}

#[test]
fn an_ipv6_address_breaks_between_its_groups() {
    let requester = "2001:db8:85a3:1234:5678:8a2e:1370:7334".parse().ok();
    let html =
        english(&Page::Confirm(Confirmation { requester, proximity: Proximity::CannotTell, ..sample_confirm() }));
    assert_eq!(
        select(&html, "dd bdi")[0].inner_html().replace("<wbr>", "|"),
        "2001:|db8:|85a3:|1234:|5678:|8a2e:|1370:|7334"
    );
}
