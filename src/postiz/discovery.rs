//! Finds out where people approve at Postiz, and where clients are registered: at the start, and again from time to time, because
//! Postiz may be upgraded meanwhile.

use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::sleep;
use tracing::{debug, error, info, warn};

use crate::outbound::{NoAnswer, ask};
use crate::postiz::Postiz;
use crate::postiz::metadata::{DiscoveryError, Endpoints, Knowledge, Metadata, Unusable, is_from_postiz};

/// Newer versions of Postiz have the first path, v2.21.5 to v2.22.1 the second one.
const PATHS: [&str; 2] =
    ["/.well-known/oauth-authorization-server/mcp-oauth", "/.well-known/oauth-authorization-server"];
/// Before the first answer. The delay doubles up to [`MAX_RETRY_DELAY`].
const RETRY_DELAY: Duration = Duration::from_millis(500);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(10);
/// Until the metadata is read again.
const REFRESH: Duration = Duration::from_mins(10);
/// The same if it could not be read, or could not be used.
const REFRESH_AFTER_FAILURE: Duration = Duration::from_mins(1);
/// A client id that Postiz never gives.
const NO_CLIENT: &str = "none";

impl Postiz {
    /// Reads the metadata now and from time to time. Returns only if the configuration needs none.
    pub async fn keep_discovered(&self) {
        if matches!(self.needs.known(), Knowledge::Endpoints(_)) {
            return;
        }
        let mut delay = RETRY_DELAY;
        loop {
            let pause = match self.discover().await {
                Ok(endpoints) => {
                    self.found(endpoints);
                    REFRESH
                }
                Err(DiscoveryError::Unusable(unusable)) => {
                    self.found_unusable(&unusable);
                    REFRESH_AFTER_FAILURE
                }
                Err(DiscoveryError::NoAnswer(no_answer)) if self.endpoints().is_some() => {
                    debug!(%no_answer, "Postiz's OAuth metadata can't be read again");
                    REFRESH_AFTER_FAILURE
                }
                Err(DiscoveryError::NoAnswer(no_answer)) => {
                    if delay == RETRY_DELAY {
                        warn!(%no_answer, "Postiz unavailable, retrying");
                    }
                    let pause = delay;
                    delay = (delay * 2).min(MAX_RETRY_DELAY);
                    pause
                }
            };
            sleep(pause).await;
        }
    }

    /// Reads the metadata.
    pub async fn discover(&self) -> Result<Endpoints, DiscoveryError> {
        match self.metadata().await.map_err(DiscoveryError::NoAnswer)? {
            Some(metadata) => self.needs.endpoints(&metadata).map_err(DiscoveryError::Unusable),
            None => Err(DiscoveryError::Unusable(Unusable::NoMetadata)),
        }
    }

    /// The endpoints in the metadata, also if the configuration names others; `None` for a Postiz without the document.
    pub async fn published(&self) -> Option<Endpoints> {
        let metadata = self.metadata().await.ok()??;
        self.needs.published(&metadata).ok()
    }

    /// `None` if Postiz itself says that it has no such document.
    async fn metadata(&self) -> Result<Option<Metadata>, NoAnswer> {
        for path in PATHS {
            let answer = ask(self.transport.0.get(self.api_url.join(path))).await?;
            match (answer.status, serde_json::from_slice(&answer.body)) {
                (StatusCode::OK, Ok(metadata)) => return Ok(Some(metadata)),
                (StatusCode::NOT_FOUND, _) if is_from_postiz(&answer.body) => {}
                _ => return Err(NoAnswer::Odd(answer.odd())),
            }
        }
        // An old Postiz has no such document, and neither has a wrong path, such as /api/v1: that one has no OAuth at all.
        self.registered(NO_CLIENT).await.map(|_| None)
    }

    fn found(&self, endpoints: Endpoints) {
        self.knowledge.send_if_modified(|knowledge| {
            let is_new = !matches!(knowledge, Knowledge::Endpoints(known) if *known == endpoints);
            if is_new {
                info!(authorization_endpoint = %endpoints.authorization, "Postiz's OAuth metadata is read");
                *knowledge = Knowledge::Endpoints(endpoints);
            }
            is_new
        });
    }

    /// Endpoints that worked are kept: Postiz may be on its way back to another version.
    fn found_unusable(&self, unusable: &Unusable) {
        error!(reason = %unusable, fix = self.fix(unusable), "Postiz can't be used");
        self.knowledge.send_if_modified(|knowledge| {
            let is_first = !matches!(knowledge, Knowledge::Endpoints(_));
            if is_first {
                *knowledge = Knowledge::Unusable;
            }
            is_first
        });
    }

    /// Returns if Postiz turns out not to offer what this configuration needs, before it was ever usable.
    pub async fn unusable(&self) {
        // The sender lives as long as `self`.
        let _ = self.knowledge.subscribe().wait_for(|knowledge| matches!(knowledge, Knowledge::Unusable)).await;
    }

    /// `None` until Postiz has answered.
    pub fn endpoints(&self) -> Option<Endpoints> {
        match &*self.knowledge.borrow() {
            Knowledge::Endpoints(endpoints) => Some(endpoints.clone()),
            Knowledge::Nothing | Knowledge::Unusable => None,
        }
    }

    /// The origin at which people approve, for `form-action`; `None` until Postiz has answered.
    pub fn front_end(&self) -> Option<String> {
        Some(self.endpoints()?.authorization.origin().ascii_serialization())
    }

    /// What the operator has to do.
    pub fn fix(&self, unusable: &Unusable) -> String {
        match unusable {
            Unusable::NoMetadata if self.needs.registration && self.needs.front_end.is_none() => {
                format!("{} Set POSTIZ_FRONTEND_URL to the address of Postiz in a browser.", self.app_by_hand())
            }
            Unusable::NoMetadata | Unusable::NoRegistration if self.needs.registration => self.app_by_hand(),
            Unusable::BadUrl { name: "registration_endpoint", .. } => self.app_by_hand(),
            Unusable::NoMetadata | Unusable::NoRegistration | Unusable::BadUrl { .. } => {
                "Set POSTIZ_FRONTEND_URL to the address of Postiz in a browser.".to_owned()
            }
        }
    }

    /// The steps for a Postiz that does not register this server.
    pub fn app_by_hand(&self) -> String {
        format!(
            "In Postiz, under Developers → Apps, make an OAuth app with the redirect URL {}. Set \
             POSTIZ_OAUTH_CLIENT_ID and POSTIZ_OAUTH_CLIENT_SECRET to its client ID and client secret.",
            self.callback_url
        )
    }
}
