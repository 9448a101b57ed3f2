//! Why a request to Postiz for a grant brought nothing: a [`Reason`] for the caller, and a sentence for the operator.

use oauth2::basic::BasicErrorResponse;
use strum::{IntoStaticStr, VariantNames};

use crate::outbound::NoAnswer;

/// Why an exchange or a registration failed. The names are a label's values in the metrics.
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
}

/// A reason with its cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Failure {
    pub reason: Reason,
    /// "Postiz answers with status 502". Holds no secret.
    pub cause: String,
}

impl Failure {
    /// Of a refusal. Its description is left out if it repeats a secret that was sent.
    pub(super) fn refused(reason: Reason, refusal: &BasicErrorResponse, sent: &[&str]) -> Self {
        /// The longest description that is shown: a sentence.
        const SHOWN_CHARS: usize = 200;
        let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect::<String>();
        let description = refusal.error_description().filter(|text| !sent.iter().any(|secret| text.contains(secret)));
        let description = description.map(|text| format!(" ({})", plain(text))).unwrap_or_default();
        Self { reason, cause: format!("Postiz says {}{description}", plain(refusal.error().as_ref())) }
    }

    /// Without an answer of its own to quote.
    pub(super) fn plain(reason: Reason) -> Self {
        Self { reason, cause: reason.to_string() }
    }
}

impl From<NoAnswer> for Failure {
    fn from(no_answer: NoAnswer) -> Self {
        let reason = match &no_answer {
            NoAnswer::Unreachable(_) => Reason::Unreachable,
            NoAnswer::Slow => Reason::Slow,
            NoAnswer::Broken { status, .. } if status.is_some_and(|status| status.is_success()) => Reason::Unreadable,
            NoAnswer::Broken { .. } | NoAnswer::Odd { .. } => Reason::Failed,
        };
        Self { reason, cause: format!("Postiz {no_answer}") }
    }
}

#[cfg(test)]
mod tests {
    use oauth2::basic::BasicErrorResponseType;

    use super::*;

    #[test]
    fn a_refusal_is_quoted_unless_it_repeats_what_was_sent() {
        let cause = |description: Option<&str>| {
            let description = description.map(str::to_owned);
            let refusal = BasicErrorResponse::new(BasicErrorResponseType::InvalidGrant, description, None);
            Failure::refused(Reason::CodeRefused, &refusal, &["the-code"]).cause
        };
        assert_eq!(cause(Some("redirect_uri\ndiffers")), "Postiz says invalid_grant (redirect_uridiffers)");
        assert_eq!(cause(Some("no code the-code")), "Postiz says invalid_grant");
        assert_eq!(cause(None), "Postiz says invalid_grant");
    }
}
