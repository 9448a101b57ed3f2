//! What a person can do, and is told before.

use super::{
    super::{Network, Retry, Terminal, Trouble},
    *,
};

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
    let confirm = Confirm {
        prefilled: false,
        network: Network::Other,
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
    let html = english(&Page::Confirm(Confirm { prefilled: false, ..sample_confirm() }));
    assert_eq!(select(&html, r#"button[name="action"][value="deny"][form="deny"]"#).len(), 1);
    let code = select(&html, r#"form#deny[method="post"] > input[type="hidden"][name="user_code"]"#)[0];
    assert_eq!(code.value().attr("value"), Some("BCDF-GHJK"));
}

#[test]
fn a_person_is_warned_before_approving_in_vain() {
    for (terminal, warning) in [
        (Terminal::Silent, Some("only sign out your other machines")),
        (Terminal::SignedIn, Some("would sign it out")),
        (Terminal::Waiting, None),
    ] {
        let text = text(&english(&Page::Confirm(Confirm { terminal, ..sample_confirm() })));
        match warning {
            Some(warning) => {
                assert!(text.find(warning) < text.find("Continue anyway"));
                assert!(text.contains(warning));
            }
            None => assert!(text.contains("Continue to Postiz")),
        }
    }
}

#[test]
fn a_code_confirmed_in_another_browser_is_flagged() {
    let flagged = |several_browsers| {
        text(&english(&Page::Confirm(Confirm { several_browsers, ..sample_confirm() }))).contains("another browser")
    };
    assert!(flagged(true));
    assert!(!flagged(false));
}

#[test]
fn a_failed_exchange_offers_the_step_that_can_succeed() {
    let html = english(&Page::TryAgain { reason: Trouble::Slow });
    assert_eq!(select(&html, r#"main a[href=""]"#).len(), 1, "the same URL, with its query");
    let html = english(&Page::ApproveAgain { user_code: "BCDF-GHJK".to_owned(), reason: Trouble::Spent });
    let fields: Vec<_> =
        select(&html, "form input").iter().map(|i| (i.value().attr("name"), i.value().attr("value"))).collect();
    assert_eq!(fields, [(Some("user_code"), Some("BCDF-GHJK")), (Some("action"), Some("continue"))]);
}

#[test]
fn a_page_that_waits_tries_again_by_itself_as_it_was_asked() {
    let reload = english(&Page::OneMoment { retry: Retry::Reload });
    assert_eq!(select(&reload, r#"a[href=""][data-retry-seconds]"#).len(), 1);
    assert_eq!(select(&reload, "head noscript").len(), 1, "without script as well");
    let retry = Retry::Submit { user_code: "BCDF-GHJK".to_owned(), action: None };
    let submit = english(&Page::OneMoment { retry });
    assert_eq!(select(&submit, r#"form[data-retry-seconds] input[name="user_code"]"#).len(), 1);
    assert!(select(&submit, r#"input[name="action"], noscript"#).is_empty());
}
