//! The device grant: one person's login on one machine, from its opening to the token's delivery. No HTTP, no SQL, no async.
//!
//! [`codes`] are what terminal, person and server exchange. [`browser`] binds an approval to the browser that began it.
//! [`status`] is the table of states and steps, [`outcome`] the words for what a step finds. [`sealing`] stores a token so
//! that the database can't read it. [`network`] defines one client and the network around it.

pub mod browser;
pub mod client_ids;
pub mod codes;
pub mod network;
pub mod outcome;
pub mod sealing;
pub mod status;

pub use browser::{BrowserKey, State, VerifierSalt};
pub use client_ids::{ClientId, PostizClientId};
pub use codes::{DeviceCode, GrantId, UserCode};
pub use network::{Origin, Proximity};
pub use outcome::{CodeProblem, Decision, Done, Standing};
pub use sealing::{Credentials, SealedToken, SealingKey};
pub use status::{INACTIVE_AFTER, Status, Step};
