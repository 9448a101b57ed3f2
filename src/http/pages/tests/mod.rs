mod every_page;
mod next_step;
#[path = "../../../../examples/gallery/samples.rs"]
mod samples;

use scraper::{ElementRef, Html, Selector};

use samples::{LOGIN, context, samples};

use super::{Language, Page, PageContext, render};
use crate::flow::Confirmation;
use crate::http::pages;
use crate::{flow, grant, postiz};

fn english(page: &Page) -> Html {
    parse(page, Language::English)
}

fn confirm(confirmation: Confirmation) -> Html {
    english(&Page::Confirm(confirmation.into()))
}

fn parse(page: &Page, language: Language) -> Html {
    Html::parse_document(&render(page, &context("/auth", language)))
}

/// Every sample in every language, with its name for messages.
fn everything() -> impl Iterator<Item = (String, Language, Html)> {
    Language::ALL.iter().flat_map(|&language| {
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

fn sample_confirm() -> Confirmation {
    samples()
        .into_iter()
        .find_map(|(_, page)| if let Page::Confirm(confirm) = page { Some(*confirm) } else { None })
        .unwrap()
}
