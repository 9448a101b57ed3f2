//! Every page in every state, for the gallery and for the unit tests of `http::pages`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::config::Config;
use super::flow::Confirmation;
use super::grant::{CodeProblem, Done, GrantId, Proximity, UserCode};
use super::pages::{Action, Language, Page, PageContext, Retry};
use super::postiz::Reason;

const CODE: &str = "BCDF-GHJK";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 23));
const LONGEST_NAME: &str = "nightly-report.for-the-whole-of-marketing";
const LONGEST: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x85a3, 0x1234, 0x5678, 0x8a2e, 0x1370, 0x7334));

/// Of a server below this path.
#[allow(clippy::expect_used, reason = "the variables are right")]
pub(super) fn config(base_path: &str) -> Config {
    let variables = [
        ("DATABASE_URL", "postgres://u@h/d"),
        ("SERVER_URL", &format!("https://auth.example.com{base_path}")),
        ("OPERATOR_NAME", "Example Company"),
        ("OPERATOR_URL", "https://example.com/imprint"),
    ];
    Config::from_vars(variables.map(|(name, value)| (name.into(), value.into()))).expect("a configuration")
}

/// What every page shows.
pub(super) fn context<'a>(config: &'a Config, language: &'static Language) -> PageContext<'a> {
    PageContext { config, language, reference: Some("7f3a9c12"), postiz_url: Some("https://postiz.example.com") }
}

#[allow(clippy::expect_used, reason = "the constant is a code")]
fn code() -> UserCode {
    CODE.parse().expect("a user code")
}

/// A file name without extension, and the page.
type Sample = (&'static str, Page);

pub(super) fn samples() -> Vec<Sample> {
    let mut all = vec![("home", Page::Home)];
    all.extend(codes());
    all.extend(confirmations());
    all.extend(outcomes());
    all.extend(problems());
    all
}

fn codes() -> Vec<Sample> {
    let enter = |problem, typed: &str| Page::EnterCode { problem, typed: typed.to_owned() };
    vec![
        ("enter", enter(None, "")),
        ("enter-malformed", enter(Some(CodeProblem::Malformed), "B0DF-GHJK")),
        ("enter-unknown", enter(Some(CodeProblem::Unknown), "bcdf ghjl")),
        ("enter-expired", enter(Some(CodeProblem::Expired), CODE)),
        ("enter-used", enter(Some(CodeProblem::Used), CODE)),
        ("enter-denied", enter(Some(CodeProblem::Denied), CODE)),
    ]
}

fn confirmations() -> Vec<Sample> {
    let here = || Confirmation {
        grant: GrantId::from_bytes([0; 32]),
        user_code: code(),
        prefilled: true,
        age: Duration::from_secs(130),
        remaining: Duration::from_secs(770),
        requester: Some(HERE),
        viewer: Some(HERE),
        proximity: Proximity::SameNetwork,
        inactive: false,
        several_browsers: false,
        has_own_client: true,
        client_name: None,
    };
    let cannot_tell = || Confirmation { proximity: Proximity::CannotTell, ..here() };
    let other =
        || Confirmation { prefilled: false, proximity: Proximity::OtherNetwork, viewer: Some(ELSEWHERE), ..here() };
    let named = |name: &str| Confirmation { client_name: Some(name.to_owned()), ..here() };
    let worst = Confirmation {
        requester: Some(LONGEST),
        several_browsers: true,
        inactive: true,
        client_name: named(LONGEST_NAME).client_name,
        ..other()
    };
    [
        ("confirm", here()),
        ("confirm-two-families", Confirmation { requester: Some(LONGEST), ..cannot_tell() }),
        ("confirm-other-network", Confirmation { prefilled: true, ..other() }),
        ("confirm-no-address", Confirmation { requester: None, viewer: None, ..cannot_tell() }),
        ("confirm-inactive", Confirmation { inactive: true, ..here() }),
        ("confirm-named", named("nightly-report")),
        ("confirm-longest-name", named(LONGEST_NAME)),
        ("confirm-app", Confirmation { age: Duration::from_secs(20), has_own_client: false, ..here() }),
        ("confirm-app-inactive", Confirmation { has_own_client: false, inactive: true, ..here() }),
        ("confirm-several-browsers", Confirmation { several_browsers: true, ..here() }),
        ("typed", other()),
        ("typed-unknown-network", Confirmation { prefilled: false, requester: Some(LONGEST), ..cannot_tell() }),
        ("typed-worst", worst),
    ]
    .map(|(name, confirm)| (name, Page::Confirm(confirm.into())))
    .into()
}

fn outcomes() -> Vec<Sample> {
    let submit = || Retry::Submit(code(), Action::Continue);
    let approve_again = |reason| Page::ApproveAgain { user_code: code(), reason };
    vec![
        ("done-signed-in", Page::Done(Done::SignedIn)),
        ("done-waiting", Page::Done(Done::Waiting)),
        ("done-inactive", Page::Done(Done::Inactive)),
        ("done-token-refused", Page::Done(Done::TokenRefused)),
        ("done-replaced", Page::Done(Done::Replaced)),
        ("done-denied", Page::Done(Done::Denied)),
        ("done-wrong-browser", Page::Done(Done::WrongBrowser)),
        ("done-stopped", Page::Done(Done::Stopped)),
        ("done-link-expired", Page::Done(Done::LinkExpired)),
        ("try-again-unreachable", Page::TryAgain { reason: Reason::Unreachable, retry: Retry::Reload }),
        ("try-again-slow", Page::TryAgain { reason: Reason::Slow, retry: Retry::Reload }),
        ("try-again-registration", Page::TryAgain { reason: Reason::Slow, retry: submit() }),
        ("try-again-registration-refused", Page::TryAgain { reason: Reason::RegistrationRefused, retry: submit() }),
        ("try-again-client-refused", Page::TryAgain { reason: Reason::ClientRefused, retry: Retry::Reload }),
        ("approve-again-failed", approve_again(Reason::Failed)),
        ("approve-again-code-refused", approve_again(Reason::CodeRefused)),
        ("approve-again-unreadable", approve_again(Reason::Unreadable)),
        ("approve-again-client-refused", approve_again(Reason::ClientRefused)),
    ]
}

fn problems() -> Vec<Sample> {
    let submit = || Retry::Submit(code(), Action::Deny);
    let rate_limited = |seconds, retry| Page::RateLimited { retry_after: Duration::from_secs(seconds), retry };
    vec![
        ("rate-limited", rate_limited(712, Retry::Reload)),
        ("rate-limited-form", rate_limited(712, submit())),
        ("busy", rate_limited(3, Retry::Reload)),
        ("busy-form", rate_limited(3, submit())),
        ("one-moment", Page::OneMoment { retry: Retry::Reload }),
        ("one-moment-form", Page::OneMoment { retry: submit() }),
        ("no-cookie", Page::NoCookie { retry: submit() }),
        ("cross-site", Page::CrossSite),
        ("not-found", Page::NotFound),
        ("bad-request", Page::BadRequest),
        ("internal", Page::Internal),
    ]
}
