//! Why an exchange brought no token.

use strum::{IntoStaticStr, VariantNames};

/// An exchange that brought no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ExchangeError {
    pub reason: Reason,
    /// Whether Postiz rejects the code from now on; otherwise it may still be good.
    pub spent: bool,
}

/// Why an exchange failed. The names are a label's values in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantNames, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    #[error("Postiz can't be reached")]
    Unreachable,
    #[error("Postiz did not answer in time")]
    Slow,
    /// Postiz failed, or the connection broke.
    #[error("Postiz failed to answer")]
    Failed,
    /// Postiz refused our client id or secret: the operator has to act.
    #[error("Postiz refused POSTIZ_OAUTH_CLIENT_ID or POSTIZ_OAUTH_CLIENT_SECRET")]
    ClientRefused,
    /// Postiz refused the code: it is used, too old, or not ours.
    #[error("Postiz refused the authorization code")]
    CodeRefused,
    /// The answer was a success without a readable token.
    #[error("Postiz answered without a readable token")]
    Unreadable,
}

/// The label of an exchange that brought a token.
pub(super) const GRANTED: &str = "granted";
