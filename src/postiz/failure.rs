//! Why a request to Postiz for a grant brought nothing.

use strum::IntoStaticStr;

use crate::postiz::transport::TransportError;

/// A registration that brought no client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// Too many registrations are under way here. Nothing was sent.
    #[error("too many registrations are under way")]
    Busy,
    #[error("{0}")]
    Failed(Reason),
}

/// Why an exchange or a registration failed. The names are a label's values in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, thiserror::Error)]
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
    /// Postiz no longer knows the client that was registered for this grant.
    #[error("Postiz has forgotten the client of this grant")]
    ClientForgotten,
    /// Postiz refused to register a client: the operator has to act.
    #[error("Postiz refused to register a client")]
    RegistrationRefused,
    /// Postiz refused the code: it is used, too old, or not ours.
    #[error("Postiz refused the authorization code")]
    CodeRefused,
    /// The answer was a success without what it should hold.
    #[error("Postiz's answer can't be read")]
    Unreadable,
}

impl Reason {
    /// Whether Postiz rejects the code from now on; otherwise it may still be good.
    pub fn spends_code(self) -> bool {
        matches!(self, Self::CodeRefused | Self::ClientForgotten | Self::Unreadable)
    }

    /// How an exchange can fail.
    pub(super) const OF_EXCHANGES: [Self; 7] = [
        Self::Unreachable,
        Self::Slow,
        Self::Failed,
        Self::ClientRefused,
        Self::ClientForgotten,
        Self::CodeRefused,
        Self::Unreadable,
    ];
    /// How a registration can fail.
    pub(super) const OF_REGISTRATIONS: [Self; 5] =
        [Self::Unreachable, Self::Slow, Self::Failed, Self::RegistrationRefused, Self::Unreadable];
}

/// The label of an exchange that brought a token.
pub(super) const GRANTED: &str = "granted";
/// The label of a registration that brought a client.
pub(super) const REGISTERED: &str = "registered";
/// The label of a registration that was not tried because too many were under way.
pub(super) const BUSY: &str = "busy";

impl From<TransportError> for Reason {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::NotSent => Self::Unreachable,
            TransportError::Timeout => Self::Slow,
            TransportError::Incomplete(status) if status.is_success() => Self::Unreadable,
            TransportError::Broken | TransportError::Incomplete(_) | TransportError::Status(_) => Self::Failed,
        }
    }
}
