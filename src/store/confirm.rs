//! The code page: looking a login up by its user code, beginning it, denying it.

use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::grant::{BrowserKey, GrantId, Settled, Status, UserCode};
use crate::secret::Digest;
use crate::store::lookup::status;
use crate::store::{Statement, Store, StoreError, bytes, get, get_bytes};

/// How long a person waits for a page before it says "one moment".
const PATIENCE: Duration = Duration::from_secs(4);

const LOGIN: Statement = Statement {
    name: "login",
    sql: "SELECT id, status, requester, browser, browsers,
                 expires_at <= now() AS expired,
                 extract(epoch FROM now() - opened_at)::float8 AS age,
                 extract(epoch FROM expires_at - now())::float8 AS remaining,
                 extract(epoch FROM now() - coalesce(polled_at, opened_at))::float8 AS silence
          FROM device_requests WHERE user_code = $1",
};

/// The last browser to confirm the code is the one whose callback counts.
const BEGIN: Statement = Statement {
    name: "begin",
    sql: "WITH changed AS (
              UPDATE device_requests
              SET status = 'authorizing', browser = $2, state = $3,
                  browsers = CASE WHEN browser = $2 THEN browsers ELSE least(browsers + 1, 99) END
              WHERE user_code = $1 AND status IN ('pending', 'authorizing') AND expires_at > now()
              RETURNING id
          )
          SELECT id, status, expires_at <= now() AS expired, EXISTS (SELECT FROM changed) AS changed
          FROM device_requests WHERE user_code = $1",
};

const DENY: Statement = Statement {
    name: "deny",
    sql: "WITH changed AS (
              UPDATE device_requests
              SET status = 'denied', settled_at = now(), lease_holder = NULL, leased_until = NULL
              WHERE user_code = $1 AND status IN ('pending', 'authorizing') AND expires_at > now()
              RETURNING id
          )
          SELECT id, status, expires_at <= now() AS expired, EXISTS (SELECT FROM changed) AS changed
          FROM device_requests WHERE user_code = $1",
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
pub enum Decision {
    /// It counts.
    Taken(GrantId),
    /// There is no such login, any more or ever.
    Unknown,
    /// Its time is over.
    Expired(GrantId),
    /// It was decided before.
    Settled(GrantId, Settled),
}

impl Store {
    /// The login with this user code; changes nothing.
    pub async fn login(&self, code: UserCode) -> Result<Option<Login>, StoreError> {
        let letters = code.letters();
        let rows = self.link.rows(LOGIN, &[(&letters, Type::TEXT)], PATIENCE).await?;
        rows.first().map(login).transpose()
    }

    /// Begins the authorization in this browser; may be repeated.
    pub async fn begin(&self, code: UserCode, browser: &BrowserKey) -> Result<Decision, StoreError> {
        let letters = code.letters();
        let (key, state) = (browser.digest(), browser.state(code).digest());
        let rows = self
            .link
            .rows(
                BEGIN,
                &[(&letters, Type::TEXT), (&bytes(&key), Type::BYTEA), (&bytes(&state), Type::BYTEA)],
                PATIENCE,
            )
            .await?;
        rows.first().map_or(Ok(Decision::Unknown), decision)
    }

    /// Ends the login at the person's word.
    pub async fn deny(&self, code: UserCode) -> Result<Decision, StoreError> {
        let letters = code.letters();
        let rows = self.link.rows(DENY, &[(&letters, Type::TEXT)], PATIENCE).await?;
        rows.first().map_or(Ok(Decision::Unknown), decision)
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
fn seconds(row: &Row, column: &str) -> Result<Duration, StoreError> {
    Ok(Duration::try_from_secs_f64(get(row, column)?).unwrap_or_default())
}

/// Reads the row as it was before the statement, and whether the statement changed it.
pub(super) fn decision(row: &Row) -> Result<Decision, StoreError> {
    let id = GrantId::from_bytes(get_bytes(row, "id")?);
    if get(row, "changed")? {
        return Ok(Decision::Taken(id));
    }
    Ok(match status(row)? {
        Status::Approved | Status::Delivered => Decision::Settled(id, Settled::Approved),
        Status::Denied => Decision::Settled(id, Settled::Denied),
        Status::Pending | Status::Authorizing if get(row, "expired")? => Decision::Expired(id),
        // Another browser's statement came in between; it has settled the login since.
        Status::Pending | Status::Authorizing => Decision::Unknown,
    })
}
