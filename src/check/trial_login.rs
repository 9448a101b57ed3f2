//! A login that `check` opens through `SERVER_URL`, finds in the database at `DATABASE_URL`, and deletes.
//!
//! A login that is there was opened by this server or a replica, and its row tells which address the server took for the
//! client's. The request claims to come from elsewhere, as a client might. If the row can't be deleted, it expires by itself;
//! nobody has its codes.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use crate::config::Config;
use crate::db::Database;
use crate::grant::DeviceCode;
use crate::outbound::{self, NoAnswer};
use crate::store::Store;

/// Reserved for documentation (RFC 5737).
pub(super) const FORGED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);

const OPEN_TIMEOUT: Duration = Duration::from_secs(6);
const FIND_TIMEOUT: Duration = Duration::from_secs(3);
const DELETE_TIMEOUT: Duration = Duration::from_secs(1);
/// The row may be committed a moment after the answer, and a pooler may ask a standby.
const FIND_DELAY: Duration = Duration::from_millis(500);

/// What the database knows of the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// With the address that the server took for the client's; `None` if it knew none.
    Here(Option<IpAddr>),
    NotHere,
    /// The database did not answer, or refused to.
    Unknown,
}

pub(super) async fn open(config: &Config, http: &reqwest::Client, forge: bool) -> Result<DeviceCode, NoAnswer> {
    #[derive(Deserialize)]
    struct Opened {
        device_code: String,
    }
    let mut request = http.post(config.server_url.join("/device/code")).timeout(OPEN_TIMEOUT);
    request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body("client_id=postiz-auth-check");
    if forge {
        request = request.header("X-Forwarded-For", FORGED.to_string()).header("X-Real-IP", FORGED.to_string());
    }
    let answer = outbound::ask(request).await?;
    let opened = serde_json::from_slice::<Opened>(&answer.body).ok().filter(|_| answer.status == StatusCode::OK);
    // Other auth servers' device codes look different.
    let code = opened.and_then(|opened| opened.device_code.parse().ok());
    code.ok_or_else(|| NoAnswer::Odd(answer.odd()))
}

pub(super) async fn find_and_delete(config: &Config, code: &DeviceCode) -> Found {
    let Some(store) = store(config) else { return Found::Unknown };
    let grant = code.grant_id();
    let mut found = Found::Unknown;
    let search = async {
        loop {
            found = match store.find_requester(grant).await {
                Ok(Some(requester)) => Found::Here(requester),
                Ok(None) => Found::NotHere,
                Err(_) => Found::Unknown,
            };
            if found != Found::NotHere {
                return;
            }
            sleep(FIND_DELAY).await;
        }
    };
    let _ = timeout(FIND_TIMEOUT, search).await;
    if matches!(found, Found::Here(_)) {
        let _ = timeout(DELETE_TIMEOUT, store.delete(grant)).await;
    }
    found
}

fn store(config: &Config) -> Option<Store> {
    Some(Store::new(config, Database::new(config).ok()?))
}
