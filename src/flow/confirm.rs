//! A person compares or types the user code (RFC 8628 §3.3), and goes on to Postiz or declines.

use std::net::IpAddr;
use std::time::Duration;

use tracing::info;
use url::Url;

use crate::db::DatabaseError;
use crate::flow::{DeviceFlow, Origin};
use crate::grant::{BrowserKey, Decision, GrantId, Proximity, Terminal, UserCode};
use crate::metrics::{GrantEvent, Limit};
use crate::store::{Entered, GrantView};

/// The person at a browser.
#[derive(Debug, Clone)]
pub struct Viewer {
    pub address: Option<IpAddr>,
    /// The key in the browser's cookie, if it has one.
    pub browser: Option<BrowserKey>,
}

/// How a code was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// In a link, which the terminal opened or somebody sent.
    Link,
    Typed,
}

/// What an entered code turned out to be.
#[derive(Debug)]
pub enum CodeOutcome<T> {
    /// An undecided grant's, for which the verb did what it was asked for.
    Found(T),
    Denied(GrantId),
    /// Its grant is approved or delivered.
    Used(GrantId),
    /// Its grant has expired or was revoked.
    Expired(GrantId),
    Unknown,
    RateLimited {
        retry_after: Duration,
    },
    /// Not looked up: too many statements are under way.
    Overloaded,
    Unavailable,
}

/// What a person has to know before approving a login.
#[derive(Debug, Clone)]
pub struct Confirmation {
    pub grant: GrantId,
    pub user_code: UserCode,
    /// The page shows the code, and a click confirms it. Otherwise the person types it from the terminal.
    pub prefilled: bool,
    /// Since the grant was opened.
    pub age: Duration,
    /// Until it expires.
    pub remaining: Duration,
    pub requester: Option<IpAddr>,
    pub viewer: Option<IpAddr>,
    pub proximity: Proximity,
    pub terminal: Terminal,
    /// The code was confirmed in another browser as well.
    pub several_browsers: bool,
}

/// The way to Postiz's consent page.
#[derive(Debug)]
pub struct ToPostiz {
    pub url: Url,
    /// The browser has to keep it: the callback belongs to this browser.
    pub browser: BrowserKey,
}

impl DeviceFlow {
    /// Shows a login; changes nothing of it.
    pub async fn view(&self, code: UserCode, viewer: &Viewer, entry: Entry) -> CodeOutcome<Confirmation> {
        let view = self.store.view(code, viewer.address, viewer.browser.as_ref());
        let entered = self.fairly(viewer.address, view).await;
        self.outcome(entered, |view| confirmation(code, &view, viewer, entry))
    }

    /// Begins the authorization in this browser. May be repeated; the last browser counts.
    pub async fn confirm(&self, code: UserCode, viewer: &Viewer) -> CodeOutcome<ToPostiz> {
        let browser = viewer.browser.clone().unwrap_or_else(BrowserKey::random);
        let entered = self.fairly(viewer.address, self.store.begin(code, viewer.address, &browser)).await;
        self.outcome(entered, |grant| {
            self.metrics.count(GrantEvent::Confirmed);
            info!(grant = grant.reference(), "grant begun: the browser is sent to Postiz");
            ToPostiz { url: self.postiz.authorization_url(&browser, &browser.state(code)), browser }
        })
    }

    /// Ends the grant because the person declined.
    pub async fn deny(&self, code: UserCode, viewer: &Viewer) -> CodeOutcome<GrantId> {
        let entered = self.fairly(viewer.address, self.store.deny(code, viewer.address)).await;
        self.outcome(entered, |grant| {
            drop(self.decided(grant, Decision::Denied, Origin::OurPage));
            grant
        })
    }

    fn outcome<T, U>(&self, entered: Result<Entered<T>, DatabaseError>, found: impl FnOnce(T) -> U) -> CodeOutcome<U> {
        match entered {
            Ok(Entered::Found(grant)) => CodeOutcome::Found(found(grant)),
            Ok(Entered::Denied(grant)) => CodeOutcome::Denied(grant),
            Ok(Entered::Used(grant)) => CodeOutcome::Used(grant),
            Ok(Entered::Expired(grant)) => CodeOutcome::Expired(grant),
            Ok(Entered::Unknown) => CodeOutcome::Unknown,
            Ok(Entered::RateLimited { retry_after }) => {
                self.limited(Limit::Guesses);
                CodeOutcome::RateLimited { retry_after }
            }
            Err(DatabaseError::Overloaded) => CodeOutcome::Overloaded,
            Err(DatabaseError::Unavailable | DatabaseError::Refused) => CodeOutcome::Unavailable,
        }
    }
}

fn confirmation(user_code: UserCode, view: &GrantView, viewer: &Viewer, entry: Entry) -> Confirmation {
    let proximity = Proximity::of(view.requester, viewer.address);
    Confirmation {
        grant: view.id,
        user_code,
        prefilled: entry == Entry::Typed || proximity != Proximity::OtherNetwork,
        age: view.age,
        remaining: view.remaining,
        requester: view.requester,
        viewer: viewer.address,
        proximity,
        terminal: view.terminal,
        several_browsers: view.several_browsers,
    }
}
