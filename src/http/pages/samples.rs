//! Every page in every state: for the tests, and to look at.

use std::net::{IpAddr, Ipv4Addr};

use super::{CodeProblem, Confirm, Network, Page, Retry, Terminal, Trouble};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 23));

/// Each with a name that can be a file's.
pub fn samples() -> Vec<(&'static str, Page)> {
    let waiting = confirm();
    let other = Confirm { prefilled: false, network: Network::Other, viewer: Some(ELSEWHERE), ..confirm() };
    let code = || "BCDF-GHJK".to_owned();
    let enter = |problem, typed: &str| Page::EnterCode { problem, typed: typed.to_owned() };
    let typed_ipv6 = Confirm { requester: "2001:db8:85a3:1234:5678:8a2e:370:7334".parse().ok(), ..other.clone() };
    vec![
        (
            "home",
            Page::Home { cli_command: "POSTIZ_AUTH_SERVER=https://auth.example.com postiz auth:login".to_owned() },
        ),
        ("enter", enter(None, "")),
        ("enter-malformed", enter(Some(CodeProblem::Malformed), "<script>alert(1)</script>")),
        ("enter-unknown", enter(Some(CodeProblem::Unknown), "bcdf ghjl")),
        ("enter-expired", enter(Some(CodeProblem::Expired), "BCDF-GHJK")),
        ("enter-used", enter(Some(CodeProblem::Used), "BCDF-GHJK")),
        ("confirm", Page::Confirm(waiting.clone())),
        (
            "confirm-cannot-tell",
            Page::Confirm(Confirm { network: Network::CannotTell, viewer: "2001:db8::17".parse().ok(), ..confirm() }),
        ),
        (
            "confirm-nothing-known",
            Page::Confirm(Confirm { network: Network::CannotTell, requester: None, viewer: None, ..confirm() }),
        ),
        ("confirm-silent", Page::Confirm(Confirm { terminal: Terminal::Silent, ..confirm() })),
        ("confirm-signed-in", Page::Confirm(Confirm { terminal: Terminal::SignedIn, ..confirm() })),
        ("confirm-several-browsers", Page::Confirm(Confirm { several_browsers: true, ..waiting })),
        ("typed", Page::Confirm(other.clone())),
        ("typed-worst", Page::Confirm(Confirm { several_browsers: true, terminal: Terminal::Silent, ..typed_ipv6 })),
        ("typed-same-network", Page::Confirm(Confirm { prefilled: false, ..confirm() })),
        ("done-signed-in", Page::Done { terminal: Terminal::SignedIn }),
        ("done-waiting", Page::Done { terminal: Terminal::Waiting }),
        ("done-silent", Page::Done { terminal: Terminal::Silent }),
        ("replaced", Page::Replaced),
        ("denied", Page::Denied),
        ("try-again-unreachable", Page::TryAgain { reason: Trouble::Unreachable }),
        ("try-again-slow", Page::TryAgain { reason: Trouble::Slow }),
        ("try-again-refused", Page::TryAgain { reason: Trouble::Refused }),
        ("approve-again-failed", Page::ApproveAgain { user_code: code(), reason: Trouble::Failed }),
        ("approve-again-spent", Page::ApproveAgain { user_code: code(), reason: Trouble::Spent }),
        ("approve-again-unreadable", Page::ApproveAgain { user_code: code(), reason: Trouble::Unreadable }),
        ("wrong-browser", Page::WrongBrowser),
        ("link-spent", Page::LinkSpent),
        ("too-many-tries", Page::TooManyTries { retry_after_seconds: 712 }),
        ("one-moment", Page::OneMoment { retry: Retry::Reload }),
        (
            "one-moment-form",
            Page::OneMoment { retry: Retry::Submit { user_code: code(), action: Some("deny".to_owned()) } },
        ),
        ("cross-site", Page::CrossSite),
        ("not-found", Page::NotFound),
        ("method-not-allowed", Page::MethodNotAllowed),
        ("bad-request", Page::BadRequest),
        ("internal", Page::Internal),
    ]
}

fn confirm() -> Confirm {
    Confirm {
        user_code: "BCDF-GHJK".to_owned(),
        prefilled: true,
        opened_seconds_ago: 130,
        expires_in_seconds: 770,
        requester: Some(HERE),
        viewer: Some(HERE),
        network: Network::Same,
        terminal: Terminal::Waiting,
        several_browsers: false,
    }
}
