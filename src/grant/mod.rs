//! The device grant: one person's login on one machine, from its opening to the token's delivery.
//!
//! No HTTP, no SQL, no async. [`codes`] are the codes that terminal, person and server exchange. [`browser`] binds an approval
//! to the browser that began it. [`status`] is the table of states and steps. [`sealing`] stores a token so that the
//! database can't read it. [`network`](mod@network) defines one client's network. [`postiz_client`] is the client at Postiz.

pub mod browser;
pub mod codes;
pub mod network;
pub mod postiz_client;
pub mod sealing;
pub mod status;

pub use browser::{BrowserKey, State};
pub use codes::{DeviceCode, GrantId, UserCode};
pub use network::{Proximity, network, networks, surroundings};
pub use postiz_client::PostizClientId;
pub use sealing::{Credentials, SealedToken, SealingKey};
pub use status::{Decision, INACTIVE_AFTER, Status, Step, Terminal};
