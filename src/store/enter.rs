//! A user code that a person entered: the confirm page views its grant, begins it or denies it.
//!
//! User codes are short, so wrong ones are counted for the client's network and for the larger ones around it (RFC 8628
//! §5.1). The statement that looks a code up is the one that counts and refuses it: a rate-limited client learns nothing,
//! at every replica, also with many requests at once.

use std::net::IpAddr;
use std::time::Duration;

use strum::EnumString;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use tracing::info;

use crate::db::{DatabaseError, Parameter, RowExt as _, Seconds, Statement};
use crate::grant::{
    BrowserKey, GROWTH, GrantId, INACTIVE_AFTER, PostizClientId, Terminal, UserCode, networks, or_unspecified,
};
use crate::store::Store;
use crate::store::codec::word;

const TIMEOUT: Duration = Duration::from_secs(4);
/// Wrong codes are counted for this long after the first one.
const WINDOW: Duration = Duration::from_mins(15);

/// The parameters are `$1` the code, `$2` the client's networks, its own first, `$3` the limit of each, `$4` the seconds of
/// a window, `$5` the viewer's browser, `$6` the seconds after which a terminal is inactive. `$change` is what the code is
/// entered for.
///
/// A rate-limited client has a second budget of the same size, within which only the grants that its own network opened
/// are found: one guesser behind an address does not lock out the others.
///
/// A window is over if a new one would end a whole window later: Citus takes no `now()` beside columns there.
///
/// Concurrent statements don't see each other's counts. There are at most as many as connections in the pools.
macro_rules! enter {
    ($change:literal) => {
        concat!(
            "WITH network AS (
                 SELECT * FROM unnest($2::text[], $3::int4[]) WITH ORDINALITY AS network (name, budget, number)
             ), usage AS (
                 SELECT max(ends_at) FILTER (WHERE wrong >= budget) - now() AS wait,
                        coalesce(bool_and(wrong < 2 * budget) FILTER (WHERE number = 1), true) AS second_budget
                 FROM network JOIN guess_counters ON client = name AND ends_at > now()
             ), found AS (
                 SELECT id, status, requester, browser, browsers, opened_at, expires_at, polled_at, postiz_client_id
                 FROM device_requests, usage
                 WHERE user_code = $1
                   AND (wait IS NULL OR second_budget AND requester::inet <<= ($2::text[])[1]::cidr)
             ), counted AS (
                 INSERT INTO guess_counters AS counter (client, wrong, ends_at)
                 SELECT name, 1, now() + $4 * interval '1 second' FROM network, usage
                 WHERE second_budget AND NOT EXISTS (SELECT 1 FROM found)
                 ORDER BY number
                 ON CONFLICT (client) DO UPDATE
                 SET wrong = CASE WHEN excluded.ends_at - counter.ends_at < $4 * interval '1 second'
                                  THEN counter.wrong + 1 ELSE 1 END,
                     ends_at = CASE WHEN excluded.ends_at - counter.ends_at < $4 * interval '1 second'
                                    THEN counter.ends_at ELSE excluded.ends_at END
                 RETURNING client, wrong, ends_at
             ), exceeded AS (
                 SELECT max(ends_at) FILTER (WHERE wrong > budget) - now() AS wait, bool_or(wrong = budget) AS reached
                 FROM counted JOIN network ON client = name
             ), changed AS (",
            $change,
            ")
             SELECT id, requester, exceeded.reached AS limit_reached,
                    (SELECT postiz_client_id FROM changed) AS postiz_client_id,
                    to_char(opened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS opened,
                    browsers > 1 OR (browser IS NOT NULL AND browser IS DISTINCT FROM $5) AS several_browsers,
                    date_part('epoch', now() - opened_at) AS age,
                    date_part('epoch', expires_at - now()) AS remaining,
                    date_part('epoch', coalesce(usage.wait, exceeded.wait)) AS wait,
                    CASE WHEN now() - coalesce(polled_at, opened_at) > $6 * interval '1 second'
                         THEN 'inactive' ELSE 'waiting' END AS terminal,
                    CASE WHEN id IS NULL AND coalesce(usage.wait, exceeded.wait) IS NOT NULL THEN 'rate_limited'
                         WHEN id IS NULL THEN 'unknown'
                         WHEN EXISTS (SELECT 1 FROM changed) THEN 'found'
                         WHEN status = 'denied' THEN 'denied'
                         WHEN status IN ('approved', 'delivered') THEN 'used'
                         WHEN status = 'revoked' OR expires_at <= now() THEN 'expired'
                         ELSE 'unknown' END AS outcome
             FROM usage LEFT JOIN exceeded ON true LEFT JOIN found ON true"
        )
    };
}

/// Changes nothing.
const VIEW: Statement = Statement {
    name: "view",
    sql: enter!("SELECT postiz_client_id FROM found WHERE status IN ('pending', 'authorizing') AND expires_at > now()"),
};

/// The last browser to confirm the code is the one whose callback counts. Of two that register a client for it at the same
/// time, the first one's client stays. `confirmed_at` tells the replica that holds its poll that a decision is near.
const BEGIN: Statement = Statement {
    name: "begin",
    sql: enter!(
        "UPDATE device_requests
         SET status = 'authorizing', confirmed_at = now(), browser = $5, state = $7,
             postiz_client_id = CASE WHEN $8 IS NULL OR device_requests.postiz_client_id IS NOT DISTINCT FROM $9 THEN $8
                                     ELSE device_requests.postiz_client_id END,
             browsers = CASE WHEN device_requests.browser = $5 THEN device_requests.browsers
                             ELSE least(device_requests.browsers + 1, 99) END
         FROM found
         WHERE device_requests.id = found.id
           AND device_requests.status IN ('pending', 'authorizing') AND device_requests.expires_at > now()
         RETURNING device_requests.postiz_client_id"
    ),
};

const DENY: Statement = Statement {
    name: "deny",
    sql: enter!(
        "UPDATE device_requests
         SET status = 'denied', settled_at = now(), lease_holder = NULL, leased_until = NULL
         FROM found
         WHERE device_requests.id = found.id
           AND device_requests.status IN ('pending', 'authorizing') AND device_requests.expires_at > now()
         RETURNING device_requests.postiz_client_id"
    ),
};

/// What an entered code turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entered<T> {
    /// An undecided grant's: it is viewed, begun or denied.
    Found(T),
    Denied(GrantId),
    /// Its grant is approved or delivered.
    Used(GrantId),
    /// Its grant has expired or was revoked.
    Expired(GrantId),
    Unknown,
    /// The client has entered too many wrong codes, and this one was not looked up.
    RateLimited {
        retry_after: Duration,
    },
}

/// An undecided grant as the person sees it before deciding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantView {
    pub id: GrantId,
    /// The address that it was opened from.
    pub requester: Option<IpAddr>,
    /// Since it was opened.
    pub age: Duration,
    /// Until it expires.
    pub remaining: Duration,
    pub terminal: Terminal,
    /// Another browser than the viewer's has confirmed it.
    pub several_browsers: bool,
    /// When it was opened, in UTC: `2026-11-25 22:48`.
    pub opened: String,
    /// The client that is registered for it at Postiz.
    pub postiz_client: Option<PostizClientId>,
}

/// The authorization of a grant, begun in a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    pub grant: GrantId,
    /// The grant's client at Postiz; `None` for the app of the configuration.
    pub postiz_client: Option<PostizClientId>,
}

#[derive(EnumString)]
#[strum(serialize_all = "snake_case")]
enum Outcome {
    Found,
    Denied,
    Used,
    Expired,
    Unknown,
    RateLimited,
}

impl Store {
    pub async fn view(
        &self,
        code: UserCode,
        client: Option<IpAddr>,
        browser: Option<&BrowserKey>,
    ) -> Result<Entered<GrantView>, DatabaseError> {
        self.enter(VIEW, code, client, browser, &[], view).await
    }

    /// Begins the authorization in this browser; may be repeated.
    ///
    /// `registered` is the grant's client at Postiz from now on, if the one until now is still `seen`; without it, the app is.
    pub async fn begin(
        &self,
        code: UserCode,
        client: Option<IpAddr>,
        browser: &BrowserKey,
        registered: Option<&PostizClientId>,
        seen: Option<&PostizClientId>,
    ) -> Result<Entered<Begun>, DatabaseError> {
        let state = browser.state(code).digest();
        let more: [Parameter<'_>; 3] = [(&state, Type::BYTEA), (&registered, Type::TEXT), (&seen, Type::TEXT)];
        let begun = |row: &Row| Ok(Begun { grant: row.field("id")?, postiz_client: row.field("postiz_client_id")? });
        self.enter(BEGIN, code, client, Some(browser), &more, begun).await
    }

    pub async fn deny(&self, code: UserCode, client: Option<IpAddr>) -> Result<Entered<GrantId>, DatabaseError> {
        self.enter(DENY, code, client, None, &[], |row| row.field("id")).await
    }

    async fn enter<T>(
        &self,
        statement: Statement,
        code: UserCode,
        client: Option<IpAddr>,
        browser: Option<&BrowserKey>,
        more: &[Parameter<'_>],
        found: impl FnOnce(&Row) -> Result<T, DatabaseError>,
    ) -> Result<Entered<T>, DatabaseError> {
        let (networks, limits) = budgets(client, self.guess_limit);
        let browser = browser.map(BrowserKey::digest);
        let (window, inactive_after) = (WINDOW.as_secs_f64(), INACTIVE_AFTER.as_secs_f64());
        let mut parameters: Vec<Parameter<'_>> = vec![
            (&code, Type::TEXT),
            (&networks, Type::TEXT_ARRAY),
            (&limits, Type::INT4_ARRAY),
            (&window, Type::FLOAT8),
            (&browser, Type::BYTEA),
            (&inactive_after, Type::FLOAT8),
        ];
        parameters.extend_from_slice(more);
        let rows = self.database.rows(statement, &parameters, TIMEOUT).await?;
        let row = rows.first().ok_or(DatabaseError::Refused)?;
        if row.field::<Option<bool>>("limit_reached")? == Some(true) {
            info!(client = networks.first(), "a client is rate-limited: it entered too many wrong codes");
        }
        Ok(match word(row, "outcome")? {
            Outcome::Found => Entered::Found(found(row)?),
            Outcome::Denied => Entered::Denied(row.field("id")?),
            Outcome::Used => Entered::Used(row.field("id")?),
            Outcome::Expired => Entered::Expired(row.field("id")?),
            Outcome::Unknown => Entered::Unknown,
            Outcome::RateLimited => Entered::RateLimited { retry_after: row.field::<Seconds>("wait")?.0 },
        })
    }
}

/// The client's networks, its own first, and the limit of each.
fn budgets(client: Option<IpAddr>, limit: u32) -> (Vec<String>, Vec<i32>) {
    if limit == 0 {
        return (Vec::new(), Vec::new());
    }
    let limit = |growth| i32::try_from(limit.saturating_mul(growth)).unwrap_or(i32::MAX);
    networks(or_unspecified(client)).zip(GROWTH).map(|(network, growth)| (network.to_string(), limit(growth))).unzip()
}

fn view(row: &Row) -> Result<GrantView, DatabaseError> {
    let requester: Option<&str> = row.field("requester")?;
    Ok(GrantView {
        id: row.field("id")?,
        requester: requester.and_then(|address| address.parse().ok()),
        age: row.field::<Seconds>("age")?.0,
        remaining: row.field::<Seconds>("remaining")?.0,
        terminal: word(row, "terminal")?,
        several_browsers: row.field("several_browsers")?,
        opened: row.field::<&str>("opened")?.to_owned(),
        postiz_client: row.field("postiz_client_id")?,
    })
}
