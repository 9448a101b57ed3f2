//! Everything that a person sees: whole HTML pages, rendered here and nowhere else, that need no script.
//!
//! A [`Page`] says what happened and holds the data to show; [`render()`] turns it into HTML in the person's language. Status codes
//! and headers belong to the handlers. The pages keep to a Content-Security-Policy without inline style or script.

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
pub use page::{CodeProblem, Confirm, Network, Page, Retry, Terminal, Trouble};
pub use render::{PageContext, render};
