//! What every page promises, in every state and language.

use scraper::{ElementRef, Html, Selector};

use super::{
    CodeProblem, Confirm, Language, Network, Page, PageContext, Retry, Terminal, Trouble, assets, render, samples,
};

const LIMIT: usize = 15 * 1024;
const HOSTILE: &str = r#""><script src="https://evil.example"></script><b onclick='x'>&amp;"#;

fn english(page: &Page) -> Html {
    parse(page, Language::English)
}

fn parse(page: &Page, language: Language) -> Html {
    let context = PageContext { base_path: "/auth", language, reference: Some("7f3a9c12") };
    Html::parse_document(&render(page, &context))
}

/// Every page in every language, with a name for messages.
fn everything() -> impl Iterator<Item = (String, Language, Html)> {
    Language::ALL.into_iter().flat_map(|language| {
        samples()
            .into_iter()
            .map(move |(name, page)| (format!("{name} ({})", language.tag()), language, parse(&page, language)))
    })
}

fn select<'a>(html: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    html.select(&Selector::parse(selector).unwrap()).collect()
}

fn text(html: &Html) -> String {
    select(html, "body")[0].text().collect()
}

fn sample_confirm() -> Confirm {
    samples()
        .into_iter()
        .find_map(|(_, page)| if let Page::Confirm(confirm) = page { Some(confirm) } else { None })
        .unwrap()
}

#[test]
fn a_page_has_no_inline_style_or_script() {
    for (name, _, html) in everything() {
        assert!(select(&html, "style, script:not([src]), [style]").is_empty(), "{name}");
        for element in select(&html, "*") {
            assert!(element.value().attrs().all(|(attribute, _)| !attribute.starts_with("on")), "{name}");
        }
    }
}

#[test]
fn a_page_with_all_its_assets_is_below_15_kilobytes() {
    let assets: usize = assets().iter().map(|asset| asset.body.len()).sum();
    for language in Language::ALL {
        let context = PageContext { base_path: "", language, reference: Some("7f3a9c12") };
        for (name, page) in samples() {
            let size = render(&page, &context).len() + assets;
            assert!(size < LIMIT, "{name} has {size} bytes");
        }
    }
}

#[test]
fn a_page_names_its_language_and_direction_and_has_one_heading() {
    for (name, language, html) in everything() {
        let root = html.root_element().value();
        assert_eq!(root.attr("lang"), Some(language.tag()), "{name}");
        assert_eq!(root.attr("dir"), Some(if language == Language::Hebrew { "rtl" } else { "ltr" }), "{name}");
        let heading: String = select(&html, "h1").iter().flat_map(ElementRef::text).collect();
        assert_eq!(select(&html, "h1").len(), 1, "{name}");
        let title: String = select(&html, "title")[0].text().collect();
        assert_eq!(title, format!("{heading} · Postiz CLI"), "{name}");
    }
}

#[test]
fn every_address_is_below_the_path_of_the_server_or_the_page_itself() {
    for (name, _, html) in everything() {
        for element in select(&html, "[href], [src], [action]") {
            let element = element.value();
            let address = element.attr("href").or(element.attr("src")).or(element.attr("action")).unwrap();
            assert!(address.is_empty() || address.starts_with("/auth/"), "{name}: {address}");
        }
    }
}

#[test]
fn what_comes_from_outside_is_escaped_everywhere() {
    let hostile = || HOSTILE.to_owned();
    let confirm = |prefilled| Page::Confirm(Confirm { user_code: hostile(), prefilled, ..sample_confirm() });
    let context = PageContext { base_path: "", language: Language::English, reference: Some(HOSTILE) };
    for page in [
        Page::Home { cli_command: hostile() },
        Page::EnterCode { problem: Some(CodeProblem::Malformed), typed: hostile() },
        confirm(true),
        confirm(false),
        Page::ApproveAgain { user_code: hostile(), reason: Trouble::Failed },
        Page::OneMoment { retry: Retry::Submit { user_code: hostile(), action: Some(hostile()) } },
    ] {
        let html = Html::parse_document(&render(&page, &context));
        assert_eq!(select(&html, "script").len(), 1, "{page:?}");
        assert!(select(&html, "b").is_empty(), "{page:?}");
        let shown = text(&html);
        let held = select(&html, "input").iter().any(|input| input.value().attr("value") == Some(HOSTILE));
        assert!(shown.contains(HOSTILE) && (held || matches!(page, Page::Home { .. })), "{page:?}");
    }
}

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

#[test]
fn every_asset_of_a_page_is_served() {
    let html = english(&Page::NotFound);
    for element in select(&html, "link, script, img") {
        let address = element.value().attr("href").or(element.value().attr("src")).unwrap();
        let name = address.strip_prefix("/auth").and_then(|path| path.strip_prefix(super::ASSETS_PATH)).unwrap();
        assert!(super::asset(name).is_some(), "{address}");
    }
}
