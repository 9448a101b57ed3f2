//! HTML pages for people. Every page works without JavaScript and under a Content-Security-Policy that forbids inline style and
//! script.
//!
//! A [`Page`] holds the data to show. [`render()`] turns it into a status and HTML in the person's language. Headers are
//! set by [`Visitor`](crate::http::visitor::Visitor). The sentences are in `locales/`, the markup is in `templates/`.

mod assets;
mod language;
mod page;
mod render;
mod templates;
#[cfg(test)]
mod tests;

pub use assets::{ASSET_CACHE_CONTROL, ASSETS_PATH, Asset, asset, assets};
pub use language::{LANGUAGES, Language};
pub use page::{Action, Page, Retry};
pub use render::render;
pub use templates::PageContext;
