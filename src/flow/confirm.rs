//! A person compares or types the user code (RFC 8628 §3.3), and goes on to Postiz or declines.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{info, warn};
use url::Url;

use crate::flow::{DeviceFlow, Origin, Trouble};
use crate::grant::{BrowserKey, ClientId, CodeProblem, Decision, GrantId, PostizClientId, Proximity, UserCode};
use crate::limits::RateLimited;
use crate::metrics::{GrantEvent, Limit};
use crate::postiz::{Reason, client_name};
use crate::store::{Entered, GrantView};

/// For the turn to register a client. A Postiz that stalls keeps each one for some seconds.
const REGISTRATION_WAIT: Duration = Duration::from_secs(15);

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
    Problem(CodeProblem, Option<GrantId>),
    /// The browser has not sent back the cookie that the page gave it.
    NoCookie,
    /// Postiz gave no client for this grant, or has not answered since the start. The grant stays as it is.
    PostizUnavailable(Option<GrantId>, Reason),
    Trouble(Trouble),
}

/// What a person has to know before approving a login.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "four independent facts")]
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
    /// Whether the terminal has stopped polling.
    pub inactive: bool,
    /// The code was confirmed in another browser as well.
    pub several_browsers: bool,
    /// The grant gets a client of its own, whose name Postiz shows. Otherwise its approval ends the tokens of the person's
    /// other machines.
    pub has_own_client: bool,
    /// What the terminal's client calls itself, which anybody may have chosen.
    pub client_name: Option<String>,
}

/// The way to Postiz's consent page, for the browser with this key.
#[derive(Debug)]
pub struct ToPostiz {
    pub url: Url,
    pub browser: BrowserKey,
}

impl DeviceFlow {
    /// Shows a login; changes nothing of it.
    pub async fn view(
        self: &Arc<Self>,
        code: UserCode,
        viewer: Viewer,
        entry: Entry,
    ) -> Result<Confirmation, CodeRefused> {
        let flow = Arc::clone(self);
        self.task(async move { Ok(flow.confirmation(code, &flow.viewed(code, &viewer).await?, &viewer, entry)) }).await
    }

    /// Begins the authorization in this browser. May be repeated; the last browser counts.
    pub async fn confirm(self: &Arc<Self>, code: UserCode, viewer: Viewer) -> Result<ToPostiz, CodeRefused> {
        let flow = Arc::clone(self);
        self.task(async move { flow.begin(code, &viewer).await }).await
    }

    /// Repeats [`Self::confirm`] for the browser that confirmed the code, by a link. Of other codes it tells nothing.
    pub async fn resume(self: &Arc<Self>, code: UserCode, viewer: Viewer) -> Result<ToPostiz, CodeRefused> {
        let flow = Arc::clone(self);
        let work = async move {
            let view = flow.viewed(code, &viewer).await?;
            if !view.began_here {
                return Err(CodeRefused::Problem(CodeProblem::Unknown, None));
            }
            let to_postiz = flow.begin(code, &viewer).await?;
            if let Some(repeats) = flow.resumed.lock().unwrap_or_else(PoisonError::into_inner).due("", Instant::now()) {
                warn!(
                    grant = view.id.reference(),
                    repeats,
                    "a browser did not follow the form to Postiz: POSTIZ_FRONTEND_URL may not be Postiz's own address"
                );
            }
            Ok(to_postiz)
        };
        self.task(work).await
    }

    /// Ends the grant because the person declined.
    pub async fn deny(self: &Arc<Self>, code: UserCode, viewer: Viewer) -> Result<GrantId, CodeRefused> {
        let flow = Arc::clone(self);
        let work = async move {
            flow.limits.view(viewer.address).map_err(Trouble::from)?;
            let denied = flow.in_line(viewer.address, flow.store.deny(code, viewer.address)).await?;
            let grant = flow.found(denied)?;
            flow.decided(grant, Decision::Denied, Origin::OurPage);
            Ok(grant)
        };
        self.task(work).await
    }

    async fn viewed(&self, code: UserCode, viewer: &Viewer) -> Result<GrantView, CodeRefused> {
        self.limits.view(viewer.address).map_err(Trouble::from)?;
        let view = self.store.view(code, viewer.address, viewer.browser.as_ref());
        self.found(self.in_line(viewer.address, view).await?)
    }

    async fn begin(&self, code: UserCode, viewer: &Viewer) -> Result<ToPostiz, CodeRefused> {
        let endpoints = self.postiz.endpoints().ok_or(CodeRefused::PostizUnavailable(None, Reason::Unreachable))?;
        let browser = viewer.browser.clone().ok_or(CodeRefused::NoCookie)?;
        self.limits.confirmation(viewer.address, code).map_err(Trouble::from)?;
        let client = if self.postiz.registers() { Some(self.own_client(code, viewer).await?) } else { None };
        let statement = self.store.begin(code, viewer.address, &browser, client.as_ref());
        let authorization = self.found(self.in_line(viewer.address, statement).await?)?;
        let client = authorization.postiz_client.as_ref();
        let (verifier, state) =
            (browser.code_verifier(&authorization.verifier_salt), browser.state(authorization.grant));
        let url = self.postiz.authorization_url(&endpoints, client, &verifier, &state).ok_or(Trouble::Failed)?;
        self.metrics.count(GrantEvent::Confirmed);
        if authorization.is_first {
            info!(grant = authorization.grant.reference(), "grant begun: the browser is sent to Postiz");
        }
        Ok(ToPostiz { url, browser })
    }

    /// The client at Postiz for this grant, registered at the first confirmation.
    async fn own_client(&self, code: UserCode, viewer: &Viewer) -> Result<PostizClientId, CodeRefused> {
        // A wrong code registers nothing.
        let view = self.viewed(code, viewer).await?;
        if let Some(client) = view.postiz_client {
            return Ok(client);
        }
        let turn = async {
            let place = self.limits.postiz_request(viewer.address).await?;
            Ok::<_, Trouble>((place, self.limits.registration().await))
        };
        let turn = timeout(REGISTRATION_WAIT, turn).await;
        let _turn = turn.map_err(|_| CodeRefused::PostizUnavailable(Some(view.id), Reason::Slow))??;
        let own_name = view.client_id.as_ref().and_then(ClientId::name);
        let name = client_name(code, &view.opened, view.requester, own_name);
        let grant = view.id.reference();
        match self.postiz.register(&name).await {
            Ok(client) => {
                info!(grant, client = client.as_str(), "client registered at Postiz");
                Ok(client)
            }
            Err(reason) => {
                warn!(grant, %reason, "no client could be registered at Postiz");
                Err(CodeRefused::PostizUnavailable(Some(view.id), reason))
            }
        }
    }

    fn confirmation(&self, user_code: UserCode, view: &GrantView, viewer: &Viewer, entry: Entry) -> Confirmation {
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
            inactive: view.inactive,
            several_browsers: view.several_browsers,
            has_own_client: self.postiz.registers(),
            client_name: view.client_id.as_ref().and_then(ClientId::name).map(str::to_owned),
        }
    }

    fn found<T>(&self, entered: Entered<T>) -> Result<T, CodeRefused> {
        match entered {
            Entered::Found(found) => Ok(found),
            Entered::Problem(problem, grant) => Err(CodeRefused::Problem(problem, grant)),
            Entered::RateLimited { retry_after } => {
                self.limits.met(Limit::Guesses);
                Err(Trouble::from(RateLimited { retry_after }).into())
            }
        }
    }
}

impl From<Trouble> for CodeRefused {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}
