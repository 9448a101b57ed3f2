//! A terminal opens a grant (RFC 8628 §3.1).

use std::net::IpAddr;
use std::time::Duration;

use tracing::info;

use crate::flow::DeviceFlow;
use crate::grant::{ClientId, DeviceCode, UserCode};
use crate::metrics::{GrantEvent, Limit};

#[derive(Debug)]
pub enum OpenOutcome {
    Opened(Opened),
    RateLimited { retry_after: Duration },
    Unavailable,
}

#[derive(Debug)]
pub struct Opened {
    pub device_code: DeviceCode,
    pub user_code: UserCode,
    pub expires_in: Duration,
    /// Whether this replica will hold its polls. If not, the terminal should poll less often.
    pub polls_are_held: bool,
}

impl DeviceFlow {
    pub async fn open(&self, requester: Option<IpAddr>, client_id: Option<ClientId>) -> OpenOutcome {
        if let Err(limited) = self.limits.opening(requester) {
            self.limited(Limit::Openings);
            return OpenOutcome::RateLimited { retry_after: limited.retry_after };
        }
        let Ok((device_code, user_code)) = self.store.open(requester, client_id).await else {
            return OpenOutcome::Unavailable;
        };
        self.metrics.count(GrantEvent::Opened);
        info!(grant = device_code.grant_id().reference(), "grant opened");
        let polls_are_held = !self.long_poll.is_zero() && self.registry.has_room(requester);
        OpenOutcome::Opened(Opened { device_code, user_code, expires_in: self.device_code_ttl, polls_are_held })
    }
}
