//! The device grant: one person's login on one machine, from its opening to the token's delivery. No HTTP, no SQL, no async.
//!
//! [`codes`] are what terminal, person and server exchange. [`client`] has a client's names and networks. [`outcome`] has the table of states and steps,
//! and the words for what a step finds. [`keys`] binds an approval to its browser, and a token to its terminal.

pub mod client;
pub mod codes;
pub mod keys;
pub mod outcome;

pub use client::{ClientId, Origin, PostizClientId, Proximity};
pub use codes::{DeviceCode, GrantId, UserCode};
pub use keys::{BrowserKey, Credentials, SealedToken, SealingKey, State, VerifierSalt};
pub use outcome::{CodeProblem, Decision, Done, INACTIVE_AFTER, PollStatus, Status, Step};
