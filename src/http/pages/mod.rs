//! HTML pages for people. Every page works without JavaScript and under a Content-Security-Policy that forbids inline style and
//! script.
//!
//! A [`Page`] holds the data to show. [`render()`] turns it into HTML in the person's language. Status codes and headers are set by
//! [`Visitor`](crate::http::visitor::Visitor).

mod assets;
mod language;
mod message;
mod page;
mod render;
mod templates;
#[cfg(test)]
mod tests;
mod texts;

pub use assets::{ASSET_CACHE_CONTROL, ASSETS_PATH, Asset, asset, assets};
pub use language::Language;
pub use page::{CodeProblem, Page, Retry};
pub use render::{PageContext, render};
