//! A person compares or types the user code (RFC 8628 §3.3), and goes on to Postiz or declines.

use std::net::IpAddr;
use std::time::Duration;

use tracing::{info, warn};
use url::Url;

use crate::db::DatabaseError;
use crate::flow::{DeviceFlow, Origin};
use crate::grant::{BrowserKey, Decision, GrantId, PostizClientId, Proximity, Terminal, UserCode};
use crate::metrics::{GrantEvent, Limit};
use crate::postiz::{Endpoints, Reason, RegistrationError, client_name};
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
    /// In a link, which the terminal opened or somebody sent. Links on other sites' pages are not entered.
    Link,
    Typed,
}

/// Why a verb did nothing for an entered code.
#[derive(Debug)]
pub enum CodeRefused {
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
    /// The database.
    Unavailable,
    /// Postiz gave no client for this grant, or has not answered since the start. The grant stays as it is.
    PostizUnavailable(Option<GrantId>, Reason),
    /// Too many clients are being registered at Postiz for other grants.
    Busy(GrantId),
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
    /// The grant gets a client of its own, whose name Postiz shows. Otherwise its approval ends the tokens of the person's
    /// other machines.
    pub has_own_client: bool,
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
    pub async fn view(&self, code: UserCode, viewer: &Viewer, entry: Entry) -> Result<Confirmation, CodeRefused> {
        let view = self.viewed(code, viewer).await?;
        Ok(confirmation(code, &view, viewer, entry, self.postiz.registers()))
    }

    /// Begins the authorization in this browser. May be repeated; the last browser counts.
    pub async fn confirm(&self, code: UserCode, viewer: &Viewer) -> Result<ToPostiz, CodeRefused> {
        let Some(endpoints) = self.postiz.endpoints() else {
            return Err(CodeRefused::PostizUnavailable(None, Reason::Unreachable));
        };
        let (client, seen) = self.own_client(code, viewer, &endpoints).await?;
        let browser = viewer.browser.clone().unwrap_or_else(BrowserKey::random);
        let statement = self.store.begin(code, viewer.address, &browser, client.as_ref(), seen.as_ref());
        let begun = self.found(self.fairly(viewer.address, statement).await?)?;
        // With an app, the column counts for nothing: the browser is never sent to a client that the database names.
        let client = begun.postiz_client.as_ref().filter(|_| self.postiz.registers());
        let state = browser.state(code);
        let Some(url) = self.postiz.authorization_url(&endpoints, client, &browser, &state) else {
            // A callback has found the client forgotten in this moment.
            return Err(CodeRefused::PostizUnavailable(Some(begun.grant), Reason::ClientForgotten));
        };
        self.metrics.count(GrantEvent::Confirmed);
        info!(grant = begun.grant.reference(), "grant begun: the browser is sent to Postiz");
        Ok(ToPostiz { url, browser })
    }

    /// The client at Postiz for this grant, and the one that its row had. Registered at the first confirmation, and again if
    /// Postiz has forgotten it; none with an app.
    async fn own_client(
        &self,
        code: UserCode,
        viewer: &Viewer,
        endpoints: &Endpoints,
    ) -> Result<(Option<PostizClientId>, Option<PostizClientId>), CodeRefused> {
        if !self.postiz.registers() {
            return Ok((None, None));
        }
        // A wrong code registers nothing.
        let view = self.viewed(code, viewer).await?;
        // One code could be confirmed again and again. Each time costs Postiz a request.
        if let Err(limited) = self.limits.confirmation(viewer.address) {
            self.limited(Limit::Registrations);
            return Err(CodeRefused::RateLimited { retry_after: limited.retry_after });
        }
        let Some(_place) = self.registrations.enter(viewer.address).await else {
            self.limited(Limit::Registrations);
            return Err(CodeRefused::Busy(view.id));
        };
        if let Some(client) = &view.postiz_client
            && self.postiz.still_knows(client).await
        {
            return Ok((view.postiz_client.clone(), view.postiz_client));
        }
        let grant = view.id.reference();
        match self.postiz.register(endpoints, &client_name(code, &view.opened, view.requester)).await {
            Ok(client) => {
                info!(grant, client = %client, "client registered at Postiz");
                Ok((Some(client), view.postiz_client))
            }
            Err(RegistrationError::Busy) => {
                self.limited(Limit::Registrations);
                Err(CodeRefused::Busy(view.id))
            }
            Err(RegistrationError::Failed(reason)) => {
                warn!(grant, %reason, "no client could be registered at Postiz");
                Err(CodeRefused::PostizUnavailable(Some(view.id), reason))
            }
        }
    }

    /// Repeats [`Self::confirm`] for the browser that confirmed the code, by a link. Of another browser's codes it tells nothing.
    pub async fn resume(&self, code: UserCode, viewer: &Viewer) -> Result<ToPostiz, CodeRefused> {
        let browser = viewer.browser.as_ref().ok_or(CodeRefused::Unknown)?;
        let began = self.fairly(viewer.address, self.store.began(&browser.state(code))).await?;
        warn!(
            grant = began.ok_or(CodeRefused::Unknown)?.reference(),
            "a browser did not follow the form to Postiz: POSTIZ_FRONTEND_URL may not be Postiz's own address"
        );
        self.confirm(code, viewer).await
    }

    /// Ends the grant because the person declined.
    pub async fn deny(&self, code: UserCode, viewer: &Viewer) -> Result<GrantId, CodeRefused> {
        let grant = self.found(self.fairly(viewer.address, self.store.deny(code, viewer.address)).await?)?;
        drop(self.decided(grant, Decision::Denied, Origin::OurPage));
        Ok(grant)
    }

    async fn viewed(&self, code: UserCode, viewer: &Viewer) -> Result<GrantView, CodeRefused> {
        let view = self.store.view(code, viewer.address, viewer.browser.as_ref());
        self.found(self.fairly(viewer.address, view).await?)
    }

    fn found<T>(&self, entered: Entered<T>) -> Result<T, CodeRefused> {
        Err(match entered {
            Entered::Found(found) => return Ok(found),
            Entered::Denied(grant) => CodeRefused::Denied(grant),
            Entered::Used(grant) => CodeRefused::Used(grant),
            Entered::Expired(grant) => CodeRefused::Expired(grant),
            Entered::Unknown => CodeRefused::Unknown,
            Entered::RateLimited { retry_after } => {
                self.limited(Limit::Guesses);
                CodeRefused::RateLimited { retry_after }
            }
        })
    }
}

impl From<DatabaseError> for CodeRefused {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Overloaded => Self::Overloaded,
            DatabaseError::Unavailable | DatabaseError::Refused => Self::Unavailable,
        }
    }
}

fn confirmation(
    user_code: UserCode,
    view: &GrantView,
    viewer: &Viewer,
    entry: Entry,
    has_own_client: bool,
) -> Confirmation {
    let proximity = Proximity::of(view.requester, viewer.address);
    Confirmation {
        grant: view.id,
        user_code,
        prefilled: entry == Entry::Typed || proximity == Proximity::SameNetwork,
        age: view.age,
        remaining: view.remaining,
        requester: view.requester,
        viewer: viewer.address,
        proximity,
        terminal: view.terminal,
        several_browsers: view.several_browsers,
        has_own_client,
    }
}
