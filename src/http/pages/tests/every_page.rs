//! Rules that hold for every page, in every state and language.

use scraper::{ElementRef, Html};

use super::{
    super::{ASSETS_PATH, asset, assets},
    *,
};
use crate::grant::CodeProblem;

const LIMIT: usize = 15 * 1024;
const HOSTILE: &str = r#""><script src="https://evil.example"></script><b onclick='x'>&amp;"#;

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
fn a_page_with_its_assets_is_below_15_kilobytes() {
    let assets: usize = assets().iter().map(|asset| asset.body.len()).sum();
    for language in &LANGUAGES {
        for (name, page) in samples() {
            let size = render(&page, &context(&CONFIG, language)).1.len() + assets;
            assert!(size < LIMIT, "{name} has {size} bytes");
        }
    }
}

#[test]
fn a_page_names_its_language_and_direction_and_has_one_heading() {
    for (name, language, html) in everything() {
        let root = html.root_element().value();
        assert_eq!(root.attr("lang"), Some(language.lang), "{name}");
        assert_eq!(root.attr("dir"), Some(if language.tag == "he" { "rtl" } else { "ltr" }), "{name}");
        let heading: String = select(&html, "h1").iter().flat_map(ElementRef::text).collect();
        assert_eq!(select(&html, "h1").len(), 1, "{name}");
        let title: String = select(&html, "title")[0].text().collect();
        assert_eq!(title, format!("{heading} · Postiz CLI"), "{name}");
    }
}

#[test]
fn every_link_leads_below_the_path_of_the_server_or_to_postiz_or_the_operator() {
    let elsewhere = ["https://postiz.example.com", "https://example.com/imprint"];
    for (name, _, html) in everything() {
        for element in select(&html, "[href], [src], [action]") {
            let element = element.value();
            let address = element.attr("href").or(element.attr("src")).or(element.attr("action")).unwrap();
            // An empty one is the page's own.
            let path = address.strip_prefix("https://auth.example.com").unwrap_or(address);
            let is_ours = path.is_empty() || path.starts_with("/auth/");
            assert!(is_ours || elsewhere.contains(&address), "{name}: {address}");
        }
    }
}

#[test]
fn untrusted_text_is_escaped_on_every_page() {
    let config = Config { operator_name: Some(HOSTILE.to_owned()), ..CONFIG.clone() };
    let context =
        PageContext { config: &config, language: &LANGUAGES[0], reference: Some(HOSTILE), postiz_url: Some(HOSTILE) };
    for page in [
        Page::Home,
        Page::EnterCode { problem: Some(CodeProblem::Malformed), typed: HOSTILE.to_owned() },
        Page::Confirm(Confirmation { client_name: Some(HOSTILE.to_owned()), ..sample_confirm() }.into()),
    ] {
        let html = Html::parse_document(&render(&page, &context).1);
        assert_eq!(select(&html, "script").len(), 1, "{page:?}");
        assert!(select(&html, "b").is_empty(), "{page:?}");
        let held = select(&html, "input").iter().any(|input| input.value().attr("value") == Some(HOSTILE));
        assert!(text(&html).contains(HOSTILE) && held == matches!(page, Page::EnterCode { .. }), "{page:?}");
    }
}

/// A key that no page uses is a sentence that nobody reads.
#[test]
fn every_sentence_is_on_a_page() {
    let nameless = Config { operator_name: None, ..CONFIG.clone() };
    let pages: Vec<_> = samples().iter().map(|(_, page)| render(page, &context(&nameless, &LANGUAGES[0])).1).collect();
    let file: serde_json::Value = serde_json::from_str(include_str!("../../../../locales/en.json")).unwrap();
    let mut values = vec![&file];
    while let Some(value) = values.pop() {
        values.extend(value.as_object().into_iter().flat_map(|members| members.values()));
        let Some(sentence) = value.as_str() else { continue };
        let mut parts = sentence.split('{').map(|part| part.split_once('}').map_or(part, |(_, after)| after));
        assert!(parts.all(|part| pages.iter().any(|page| page.contains(part))), "{sentence}");
    }
}

#[test]
fn every_asset_of_a_page_is_served() {
    let html = english(&Page::NotFound);
    for element in select(&html, "link, script, img") {
        let address = element.value().attr("href").or(element.value().attr("src")).unwrap();
        let name = address.strip_prefix("/auth").and_then(|path| path.strip_prefix(ASSETS_PATH)).unwrap();
        assert!(asset(name).is_some(), "{address}");
    }
}
