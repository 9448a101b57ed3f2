//! The device grant: one person's login on one machine, from its opening to the token's delivery.
//!
//! No HTTP, no SQL, no async. [`codes`] are the codes that terminal, person and server exchange. [`browser`] binds an approval
//! to the browser that began it. [`client_id`] is the name that a client gives itself, [`postiz_client`] the client at Postiz.
//! [`status`] is the table of states and steps. [`sealing`] stores a token so that the database can't read it. [`row_key`]
//! detects changes to a row. [`network`](mod@network) defines one client's network.

pub mod browser;
pub mod client_id;
pub mod codes;
pub mod network;
pub mod postiz_client;
pub mod row_key;
pub mod sealing;
pub mod status;

pub use browser::{BrowserKey, State};
pub use client_id::ClientId;
pub use codes::{DeviceCode, GrantId, UserCode};
pub use network::{GROWTH, Proximity, network, networks, or_unspecified, surroundings};
pub use postiz_client::PostizClientId;
pub use row_key::{FixedColumns, RowKey};
pub use sealing::{Credentials, SealedToken, SealingKey};
pub use status::{Decision, INACTIVE_AFTER, Status, Step, Terminal};
