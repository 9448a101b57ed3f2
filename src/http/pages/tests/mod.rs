mod every_page;
mod next_step;
#[path = "../../../../examples/gallery/samples.rs"]
mod samples;

use std::sync::LazyLock;

use scraper::{ElementRef, Html, Selector};

use samples::{context, samples};

use super::{LANGUAGES, Language, Page, PageContext, render};
use crate::config::Config;
use crate::flow::Confirmation;
use crate::http::pages;
use crate::{config, flow, grant, postiz};

const LOGIN: &str = "postiz auth:login --auth-server https://auth.example.com/auth";

static CONFIG: LazyLock<Config> = LazyLock::new(|| samples::config("/auth"));

fn english(page: &Page) -> Html {
    parse(page, &LANGUAGES[0])
}

fn confirm(confirmation: Confirmation) -> Html {
    english(&Page::Confirm(confirmation.into()))
}

fn parse(page: &Page, language: &'static Language) -> Html {
    Html::parse_document(&render(page, &context(&CONFIG, language)).1)
}

/// Every sample in every language, with its name for messages.
fn everything() -> impl Iterator<Item = (String, &'static Language, Html)> {
    LANGUAGES.iter().flat_map(|language| {
        samples()
            .into_iter()
            .map(move |(name, page)| (format!("{name} ({})", language.tag), language, parse(&page, language)))
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
