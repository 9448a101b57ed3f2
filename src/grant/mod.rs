//! The device grant: one person's login on one machine, from its opening to the token's delivery.
//!
//! What is here knows neither HTTP nor SQL. [`codes`] are what travels between the terminal, the
//! person and us; [`browser`] is what ties an approval to the browser that began it; [`status`] is
//! the table of states and steps; [`sealing`] keeps a token so that the database can't read it;
//! [`network`](mod@network) says who counts as one client.

pub mod browser;
pub mod codes;
pub mod network;
pub mod sealing;
pub mod status;

pub use browser::{BrowserKey, State};
pub use codes::{DeviceCode, GrantId, UserCode};
pub use network::{network, same_network, surroundings};
pub use sealing::{Credentials, SealedToken, SealingKey};
pub use status::{Decision, INACTIVE_AFTER, Standing, Status, Step};
