//! The code page: looking a login up by its user code, beginning it, denying it.

use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::Row;

use crate::grant::{BrowserKey, Decision, GrantId, Status, UserCode};
use crate::secret::Digest;
use crate::store::guesses::{Entered, entering};
use crate::store::lookup::status;
use crate::store::{Statement, Store, StoreError, bytes, get, get_bytes};

/// Looks, and changes nothing.
const LOGIN: Statement = Statement { name: "login", sql: entering!("SELECT 1 WHERE false") };

/// The last browser to confirm the code is the one whose callback counts.
const BEGIN: Statement = Statement {
    name: "begin",
    sql: entering!(
        "UPDATE device_requests
         SET status = 'authorizing', browser = $5, state = $6,
             browsers = CASE WHEN browser = $5 THEN browsers ELSE least(browsers + 1, 99) END
         WHERE user_code = $1 AND status IN ('pending', 'authorizing') AND expires_at > now()
           AND NOT EXISTS (SELECT 1 FROM held_off)
         RETURNING id"
    ),
};

const DENY: Statement = Statement {
    name: "deny",
    sql: entering!(
        "UPDATE device_requests
         SET status = 'denied', settled_at = now(), lease_holder = NULL, leased_until = NULL
         WHERE user_code = $1 AND status IN ('pending', 'authorizing') AND expires_at > now()
           AND NOT EXISTS (SELECT 1 FROM held_off)
         RETURNING id"
    ),
};

/// A login as the person is shown it, before deciding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Its id.
    pub id: GrantId,
    /// Where it is.
    pub status: Status,
    /// Whether its time is over.
    pub expired: bool,
    /// Where it was started from, where that is known.
    pub requester: Option<IpAddr>,
    /// How long ago it was started.
    pub age: Duration,
    /// How long it can still be confirmed.
    pub remaining: Duration,
    /// How long its terminal has not been heard of.
    pub silence: Duration,
    /// The browser that confirmed it last.
    pub browser: Option<Digest>,
    /// In how many browsers it was confirmed.
    pub browsers: u16,
}

/// What became of a person's decision on the code page, or of a denial at Postiz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// It counts.
    Taken(GrantId),
    /// There is no such login, any more or ever.
    Unknown,
    /// Its time is over.
    Expired(GrantId),
    /// It was decided before.
    Decision(GrantId, Decision),
}

impl Store {
    /// The login with this user code, which this client entered; changes nothing of it.
    pub async fn login(&self, code: UserCode, client: Option<IpAddr>) -> Result<Entered<Login>, StoreError> {
        self.enter(LOGIN, code, client, &[], login).await
    }

    /// Begins the authorization in this browser; may be repeated.
    pub async fn begin(
        &self,
        code: UserCode,
        client: Option<IpAddr>,
        browser: &BrowserKey,
    ) -> Result<Entered<StepOutcome>, StoreError> {
        let (key, state) = (browser.digest(), browser.state(code).digest());
        self.enter(BEGIN, code, client, &[bytes(&key), bytes(&state)], decision).await
    }

    /// Ends the login at the person's word.
    pub async fn deny(&self, code: UserCode, client: Option<IpAddr>) -> Result<Entered<StepOutcome>, StoreError> {
        self.enter(DENY, code, client, &[], decision).await
    }
}

fn login(row: &Row) -> Result<Login, StoreError> {
    let requester: Option<&str> = get(row, "requester")?;
    Ok(Login {
        id: GrantId::from_bytes(get_bytes(row, "id")?),
        status: status(row)?,
        expired: get(row, "expired")?,
        requester: requester.and_then(|address| address.parse().ok()),
        age: seconds(row, "age")?,
        remaining: seconds(row, "remaining")?,
        silence: seconds(row, "silence")?,
        browser: match get::<Option<&[u8]>>(row, "browser")? {
            Some(_) => Some(Digest::from_bytes(get_bytes(row, "browser")?)),
            None => None,
        },
        browsers: u16::try_from(get::<i16>(row, "browsers")?).unwrap_or_default(),
    })
}

/// A span of time; a negative one is none.
pub(super) fn seconds(row: &Row, column: &str) -> Result<Duration, StoreError> {
    Ok(Duration::try_from_secs_f64(get(row, column)?).unwrap_or_default())
}

/// Reads the row as it was before the statement, and whether the statement changed it.
pub(super) fn decision(row: &Row) -> Result<StepOutcome, StoreError> {
    let id = GrantId::from_bytes(get_bytes(row, "id")?);
    if get(row, "changed")? {
        return Ok(StepOutcome::Taken(id));
    }
    Ok(match status(row)? {
        Status::Approved | Status::Delivered => StepOutcome::Decision(id, Decision::Approved),
        Status::Denied => StepOutcome::Decision(id, Decision::Denied),
        Status::Pending | Status::Authorizing if get(row, "expired")? => StepOutcome::Expired(id),
        // Another browser's statement came in between; it has settled the login since.
        Status::Pending | Status::Authorizing => StepOutcome::Unknown,
    })
}
