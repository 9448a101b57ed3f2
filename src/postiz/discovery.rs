//! Finds out where people approve at Postiz, and where clients are registered: at the start, and again when the metadata's age
//! is over.

use std::time::Duration;

use http::StatusCode;
use http::header::CACHE_CONTROL;
use tokio::time::sleep;
use tracing::{debug, error, info, warn};

use crate::outbound;
use crate::postiz::Postiz;
use crate::postiz::metadata::{
    DiscoveryError, Endpoints, Knowledge, MIN_AGE, Metadata, Unusable, is_from_postiz, max_age,
};
use crate::postiz::no_answer::NoAnswer;

/// Newer versions of Postiz have the first path, v2.21.5 to v2.22.1 the second one.
const PATHS: [&str; 2] =
    ["/.well-known/oauth-authorization-server/mcp-oauth", "/.well-known/oauth-authorization-server"];
/// Before the first answer. The delay doubles up to [`MAX_RETRY_DELAY`].
const RETRY_DELAY: Duration = Duration::from_millis(500);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(10);

impl Postiz {
    /// Reads the metadata now and whenever its age is over. Returns only if the configuration needs none.
    pub async fn keep_discovered(&self) {
        if matches!(self.needs.known(), Knowledge::Endpoints(_)) {
            return;
        }
        let mut delay = RETRY_DELAY;
        loop {
            let pause = match self.discover().await {
                Ok((endpoints, max_age)) => {
                    self.found(endpoints);
                    max_age
                }
                Err(DiscoveryError::Unusable(unusable)) => {
                    self.found_unusable(&unusable);
                    MIN_AGE
                }
                Err(DiscoveryError::NoAnswer(no_answer)) if self.endpoints().is_some() => {
                    debug!(%no_answer, "Postiz's OAuth metadata can't be read again");
                    MIN_AGE
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

    /// Reads the metadata, and for how long it holds.
    pub async fn discover(&self) -> Result<(Endpoints, Duration), DiscoveryError> {
        for path in PATHS {
            if let Some((metadata, max_age)) = self.metadata(path).await.map_err(DiscoveryError::NoAnswer)? {
                let endpoints = self.needs.endpoints(&metadata).map_err(DiscoveryError::Unusable)?;
                return Ok((endpoints, max_age));
            }
        }
        Err(DiscoveryError::Unusable(Unusable::NoMetadata))
    }

    /// The authorization endpoint in the metadata, also if the configuration names another one.
    pub(super) async fn published(&self) -> Option<String> {
        for path in PATHS {
            if let Ok(Some((metadata, _))) = self.metadata(path).await {
                return Some(metadata.authorization_endpoint);
            }
        }
        None
    }

    /// `None` if Postiz itself says that it has no such path.
    async fn metadata(&self, path: &str) -> Result<Option<(Metadata, Duration)>, NoAnswer> {
        let answer = self.transport.0.get(self.api_url.join(path)).send().await.map_err(NoAnswer::unreachable)?;
        let status = answer.status();
        let cache_control = answer.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
        let max_age = max_age(cache_control.unwrap_or_default());
        let body = outbound::body(answer).await.map_err(|error| NoAnswer::broken(&error))?;
        match status {
            StatusCode::OK => match serde_json::from_slice(&body) {
                Ok(metadata) => Ok(Some((metadata, max_age))),
                Err(_) => Err(NoAnswer::NotTheApi(status.as_u16())),
            },
            StatusCode::NOT_FOUND if is_from_postiz(&body) => Ok(None),
            other => Err(NoAnswer::of_status(other)),
        }
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
            "In Postiz, under Settings → Developers, make an OAuth app with the redirect URL {}. Set \
             POSTIZ_OAUTH_CLIENT_ID and POSTIZ_OAUTH_CLIENT_SECRET to its client ID and client secret.",
            self.callback_url
        )
    }
}
