//! A terminal opens a grant (RFC 8628 §3.1).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use crate::flow::{DeviceFlow, Trouble};
use crate::grant::{ClientId, DeviceCode, UserCode};
use crate::metrics::GrantEvent;
use crate::store::NewGrant;

/// Between two polls of a client, unless it gets a shorter one because its polls are held (RFC 8628 §3.5).
pub const INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Opened {
    pub device_code: DeviceCode,
    pub user_code: UserCode,
    pub expires_in: Duration,
    /// Polls are paced by it, in either form.
    pub interval: Duration,
}

impl DeviceFlow {
    pub async fn open(
        self: &Arc<Self>,
        requester: Option<IpAddr>,
        client_id: Option<ClientId>,
        interval_when_held: Duration,
    ) -> Result<Opened, Trouble> {
        self.limits.opening(requester)?;
        let polls_are_held = !self.long_poll.is_zero() && self.limits.can_hold(requester);
        let interval = if polls_are_held { interval_when_held } else { INTERVAL };
        let new = NewGrant { requester, client_id, interval };
        let flow = Arc::clone(self);
        let statement = async move { flow.in_line(requester, flow.store.open(&new)).await };
        let (device_code, user_code) = self.task(statement).await?;
        let now = Instant::now();
        self.last_opened.send_replace(now);
        if polls_are_held {
            self.waiting.opened(device_code.grant_id(), now + self.device_code_ttl);
        }
        self.metrics.count(GrantEvent::Opened);
        info!(grant = device_code.grant_id().reference(), "grant opened");
        Ok(Opened { device_code, user_code, expires_in: self.device_code_ttl, interval })
    }
}
