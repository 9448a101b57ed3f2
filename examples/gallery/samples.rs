//! Every page in every state, for the gallery and for the unit tests of `http::pages`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::pages::{CodeProblem, Confirm, Network, Page, Retry, Terminal, Trouble};

const CODE: &str = "BCDF-GHJK";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 23));
const LONGEST: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x85a3, 0x1234, 0x5678, 0x8a2e, 0x1370, 0x7334));

/// A page, and a name for it that can be a file's.
type Sample = (&'static str, Page);

pub(super) fn samples() -> Vec<Sample> {
    let mut all = vec![(
        "home",
        Page::Home { cli_command: "POSTIZ_AUTH_SERVER=https://auth.example.com postiz auth:login".to_owned() },
    )];
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
        ("enter-again", enter(Some(CodeProblem::Again { mark: "A".repeat(43) }), "")),
        ("enter-expired", enter(Some(CodeProblem::Expired), CODE)),
        ("enter-used", enter(Some(CodeProblem::Used), CODE)),
    ]
}

fn confirmations() -> Vec<Sample> {
    let here = || Confirm {
        user_code: CODE.to_owned(),
        prefilled: true,
        again: None,
        opened_seconds_ago: 130,
        expires_in_seconds: 770,
        requester: Some(HERE),
        viewer: Some(HERE),
        network: Network::Same,
        terminal: Terminal::Waiting,
        several_browsers: false,
    };
    let cannot_tell = || Confirm { network: Network::CannotTell, ..here() };
    let other = || Confirm { prefilled: false, network: Network::Other, viewer: Some(ELSEWHERE), ..here() };
    let worst = Confirm { requester: Some(LONGEST), several_browsers: true, terminal: Terminal::Silent, ..other() };
    [
        ("confirm", here()),
        ("confirm-two-families", Confirm { requester: Some(LONGEST), ..cannot_tell() }),
        ("confirm-other-network", Confirm { prefilled: true, ..other() }),
        ("confirm-no-address", Confirm { requester: None, viewer: None, ..cannot_tell() }),
        ("confirm-silent", Confirm { terminal: Terminal::Silent, ..here() }),
        ("confirm-signed-in", Confirm { terminal: Terminal::SignedIn, ..here() }),
        ("confirm-several-browsers", Confirm { several_browsers: true, ..here() }),
        ("typed", other()),
        ("typed-same-network", Confirm { prefilled: false, ..here() }),
        ("typed-worst", worst),
    ]
    .map(|(name, confirm)| (name, Page::Confirm(confirm)))
    .into()
}

fn outcomes() -> Vec<Sample> {
    let approve_again = |reason| Page::ApproveAgain { user_code: CODE.to_owned(), reason };
    vec![
        ("done-signed-in", Page::Done { terminal: Terminal::SignedIn }),
        ("done-waiting", Page::Done { terminal: Terminal::Waiting }),
        ("done-silent", Page::Done { terminal: Terminal::Silent }),
        ("replaced", Page::Replaced),
        ("denied", Page::Denied),
        ("try-again-unreachable", Page::TryAgain { reason: Trouble::Unreachable }),
        ("try-again-slow", Page::TryAgain { reason: Trouble::Slow }),
        ("try-again-refused", Page::TryAgain { reason: Trouble::Refused }),
        ("approve-again-failed", approve_again(Trouble::Failed)),
        ("approve-again-spent", approve_again(Trouble::Spent)),
        ("approve-again-unreadable", approve_again(Trouble::Unreadable)),
        ("approve-again-refused", approve_again(Trouble::Refused)),
    ]
}

fn problems() -> Vec<Sample> {
    let submit = Retry::Submit { user_code: CODE.to_owned(), action: Some("deny".to_owned()) };
    vec![
        ("wrong-browser", Page::WrongBrowser),
        ("link-spent", Page::LinkSpent),
        ("too-many-tries", Page::TooManyTries { retry_after_seconds: 712 }),
        ("one-moment", Page::OneMoment { retry: Retry::Reload }),
        ("one-moment-form", Page::OneMoment { retry: submit }),
        ("cross-site", Page::CrossSite),
        ("not-found", Page::NotFound),
        ("method-not-allowed", Page::MethodNotAllowed),
        ("bad-request", Page::BadRequest),
        ("internal", Page::Internal),
    ]
}
