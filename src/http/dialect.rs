//! What the published Postiz CLI needs, and what RFC 8628 says, where the two differ.
//!
//! The CLI speaks JSON, or sends no body at all, and ends the login at any error but
//! `authorization_pending`; it waits for a held answer as long as it takes. Clients of the RFC send a
//! form, know `slow_down`, and expect an answer at once unless they ask for more (RFC 7240).

use std::time::Duration;

use actix_web::HttpRequest;

use crate::http::params::BodyForm;

/// What clients of RFC 8628 are told to wait between polls, and the CLI where polls are not held.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// What the CLI is told to wait before each poll where polls are held: it should be here when the
/// person approves. The CLI takes 0 for 5.
pub const INTERVAL_WHEN_HELD: Duration = Duration::from_secs(1);
/// A client's clock may run a little fast, and a request may overtake another.
const SLACK: Duration = Duration::from_secs(1);

/// Which of the two a request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The CLI's JSON.
    Cli,
    /// RFC 8628's form.
    Rfc8628,
}

impl Dialect {
    /// Goes by the form of the body.
    pub fn of(body: BodyForm) -> Self {
        match body {
            BodyForm::Urlencoded => Self::Rfc8628,
            BodyForm::Empty | BodyForm::Json | BodyForm::Other => Self::Cli,
        }
    }

    /// The interval to announce, where polls are held or where they are not.
    pub fn interval(self, polls_are_held: bool) -> Duration {
        match self {
            Self::Cli if polls_are_held => INTERVAL_WHEN_HELD,
            Self::Cli | Self::Rfc8628 => INTERVAL,
        }
    }

    /// The shortest time between two polls, where there is one. The CLI is never told `slow_down`: it
    /// would give the login up.
    pub fn pace(self) -> Option<Duration> {
        match self {
            Self::Cli => None,
            Self::Rfc8628 => Some(INTERVAL.saturating_sub(SLACK)),
        }
    }

    /// How long this poll may be held.
    pub fn hold(self, request: &HttpRequest, long_poll: Duration) -> Duration {
        match self {
            Self::Cli => long_poll,
            Self::Rfc8628 => preferred_wait(request).unwrap_or_default().min(long_poll),
        }
    }
}

/// `Prefer: wait=N`, in seconds (RFC 7240 §4.3).
fn preferred_wait(request: &HttpRequest) -> Option<Duration> {
    let preferences = request.headers().get_all("Prefer").filter_map(|value| value.to_str().ok());
    preferences
        .flat_map(|value| value.split(','))
        .filter_map(|preference| preference.split(';').next()?.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse().ok())
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const LONG_POLL: Duration = Duration::from_secs(20);

    #[test]
    fn the_cli_is_told_to_come_at_once_only_where_it_is_held() {
        assert_eq!(Dialect::Cli.interval(true), INTERVAL_WHEN_HELD);
        assert_eq!(Dialect::Cli.interval(false), INTERVAL);
        assert_eq!(Dialect::Rfc8628.interval(true), INTERVAL);
    }

    #[test]
    fn an_rfc_client_is_held_only_as_long_as_it_asks() {
        for (prefer, held) in [
            ("wait=10", 10),
            ("respond-async, wait=3", 3),
            ("wait=\"7\"; foo=bar", 7),
            ("WAIT=90", 20),
            ("wait=x", 0),
            ("", 0),
        ] {
            let request = TestRequest::default().insert_header(("Prefer", prefer)).to_http_request();
            assert_eq!(Dialect::Rfc8628.hold(&request, LONG_POLL).as_secs(), held, "{prefer}");
        }
        assert_eq!(Dialect::Cli.hold(&TestRequest::default().to_http_request(), LONG_POLL), LONG_POLL);
    }
}
