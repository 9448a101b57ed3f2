//! A user code that a person entered: the confirm page views its grant, begins it or denies it.
//!
//! User codes are short, so wrong ones are counted for the client and for the network around it (RFC 8628 §5.1), over all
//! replicas. The statement that looks a code up is also the one that refuses it: a rate-limited client learns nothing.
//! Only a wrong code costs a second statement, which counts it. Between the two, a client has at most as many guesses under way
//! as a replica runs statements for one network.

use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use tracing::info;

use crate::db::{DatabaseError, Parameter, Statement};
use crate::grant::{
    BrowserKey, ClientId, CodeProblem, GrantId, INACTIVE_AFTER, Networks, PostizClientId, UserCode, VerifierSalt,
};
use crate::store::{PAGE_TIMEOUT, RowExt as _, Store, word};

/// Wrong codes are counted for this long after the first one.
const WINDOW: Duration = Duration::from_mins(15);

/// A rate-limited client has a second budget of the same size, within which only the grants that it opened itself are found:
/// one guesser behind an address does not lock out the others.
macro_rules! may_be_found {
    () => {
        "user_code = $1 AND (wait IS NULL OR NOT exhausted AND requester <<= $2::cidr)"
    };
}

/// The parameters are `$1` the code, `$2` the client, `$3` its network, `$4` the limit of a client. A network's limit is four
/// times a client's. `$change` is what the code is entered for, `$found` whether its grant was undecided, and `$columns` what is
/// to be known of it.
///
/// A standby may not have the grant yet. It can't run a statement that could write, so it can't answer either.
macro_rules! enter {
    ($change:expr, $found:literal, $columns:literal) => {
        concat!(
            "WITH usage AS (
                 SELECT max(ends_at) FILTER (WHERE wrong >= CASE client WHEN $3 THEN 4 * $4 ELSE $4 END) - now() AS wait,
                        coalesce(bool_or(client = $2 AND wrong >= 2 * $4), false) AS exhausted
                 FROM postiz_auth_wrong_codes WHERE client IN ($2, $3) AND ends_at > now()
             )",
            $change,
            " SELECT ",
            $columns,
            ", date_part('epoch', wait) AS wait, exhausted,
                    CASE WHEN ",
            $found,
            " THEN 'found'
                         WHEN id IS NULL AND wait IS NOT NULL THEN 'rate_limited'
                         WHEN status = 'denied' THEN 'denied'
                         WHEN status IN ('approved', 'delivered') THEN 'used'
                         WHEN status = 'revoked' OR expires_at <= now() THEN 'expired'
                         -- Another step came between.
                         WHEN id IS NOT NULL THEN 'used'
                         ELSE 'unknown' END AS outcome
             FROM usage LEFT JOIN device_requests ON ",
            may_be_found!()
        )
    };
}

macro_rules! update {
    ($set:literal) => {
        concat!(
            ", changed AS (
                 UPDATE device_requests SET ",
            $set,
            "    FROM usage
                 WHERE ",
            may_be_found!(),
            "      AND status IN ('pending', 'authorizing') AND expires_at > now()
                 RETURNING postiz_client_id
             )"
        )
    };
}

/// `$5` is the viewer's browser, `$6` the seconds after which a terminal is inactive. Changes nothing.
const VIEW: Statement = Statement {
    name: "view",
    sql: enter!(
        ", on_the_primary AS (DELETE FROM postiz_auth_wrong_codes WHERE false)",
        "status IN ('pending', 'authorizing') AND expires_at > now()",
        "id, requester, client_id, postiz_client_id,
         to_char(opened_at AT TIME ZONE 'UTC', 'FMDD Mon YYYY HH24:MI') AS opened,
         browsers > 1 OR (browser IS NOT NULL AND browser IS DISTINCT FROM $5) AS several_browsers,
         coalesce(browser = $5, false) AS began_here,
         date_part('epoch', now() - opened_at) AS age, date_part('epoch', expires_at - now()) AS remaining,
         now() - coalesce(polled_at, opened_at) > $6 * interval '1 second' AS inactive"
    ),
};

/// The last browser to confirm the code (`$5`) is the one whose callback counts. The first client at Postiz (`$6`) stays, until
/// the code is confirmed at a server with an app.
const BEGIN: Statement = Statement {
    name: "begin",
    sql: enter!(
        update!(
            "status = 'authorizing', browser = $5,
             postiz_client_id = CASE WHEN $6 IS NOT NULL THEN coalesce(postiz_client_id, $6) END,
             browsers = CASE WHEN browser = $5 THEN browsers ELSE least(browsers + 1, 99) END"
        ),
        "EXISTS (SELECT FROM changed)",
        "id, verifier_salt, status = 'pending' AS is_first, (SELECT postiz_client_id FROM changed) AS postiz_client_id"
    ),
};

const DENY: Statement = Statement {
    name: "deny",
    sql: enter!(
        update!("status = 'denied', settled_at = now(), lease_holder = NULL, leased_until = NULL"),
        "EXISTS (SELECT FROM changed)",
        "id"
    ),
};

/// One row for the client and one for its network, in this order: two statements never wait for each other. `over` is how far
/// the counter is over its limit.
const COUNT_WRONG_CODE: Statement = Statement {
    name: "count_wrong_code",
    sql: "INSERT INTO postiz_auth_wrong_codes AS counter (client, wrong, ends_at)
          SELECT name, 1, now() + $4 * interval '1 second' FROM unnest(ARRAY[$1, $2]) AS name WHERE name IS NOT NULL
          ON CONFLICT (client) DO UPDATE
          SET wrong = CASE WHEN counter.ends_at > now() THEN counter.wrong + 1 ELSE 1 END,
              ends_at = CASE WHEN counter.ends_at > now() THEN counter.ends_at ELSE excluded.ends_at END
          RETURNING client, wrong - CASE client WHEN $2 THEN 4 * $3 ELSE $3 END AS over,
                    date_part('epoch', ends_at - now()) AS wait,
                    set_config('synchronous_commit', 'off', true)",
};

/// What an entered code turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entered<T> {
    /// An undecided grant's: it is viewed, begun or denied.
    Found(T),
    Problem(CodeProblem, Option<GrantId>),
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
    /// What its client calls itself.
    pub client_id: Option<ClientId>,
    /// Since it was opened.
    pub age: Duration,
    /// Until it expires.
    pub remaining: Duration,
    /// Whether its terminal has stopped polling.
    pub inactive: bool,
    /// Another browser than the viewer's has confirmed it.
    pub several_browsers: bool,
    /// The viewer's browser was the last one to confirm it.
    pub began_here: bool,
    /// When it was opened, in UTC: `29 Nov 2026 22:48`.
    pub opened: String,
    /// The client that is registered for it at Postiz.
    pub postiz_client: Option<PostizClientId>,
}

/// The authorization of a grant, begun in a browser.
#[derive(Debug, Clone)]
pub struct Authorization {
    pub grant: GrantId,
    pub verifier_salt: VerifierSalt,
    /// The grant's client at Postiz; `None` for the app of the configuration.
    pub postiz_client: Option<PostizClientId>,
    /// Whether nobody had confirmed the code before.
    pub is_first: bool,
}

/// The client that wrong codes are counted for, and its network; neither if there is no limit.
type Guesser = (Option<String>, Option<String>);

impl Store {
    pub async fn view(
        &self,
        code: UserCode,
        address: Option<IpAddr>,
        browser: Option<&BrowserKey>,
    ) -> Result<Entered<GrantView>, DatabaseError> {
        let (browser, inactive_after) = (browser.map(BrowserKey::digest), INACTIVE_AFTER.as_secs_f64());
        let more: [Parameter<'_>; 2] = [(&browser, Type::BYTEA), (&inactive_after, Type::FLOAT8)];
        self.enter(VIEW, code, address, &more, view).await
    }

    /// Begins the authorization in this browser; may be repeated. `registered` is the grant's client at Postiz from now on, unless
    /// it has one. `None` is the app, even if it has one.
    pub async fn begin(
        &self,
        code: UserCode,
        address: Option<IpAddr>,
        browser: &BrowserKey,
        registered: Option<&PostizClientId>,
    ) -> Result<Entered<Authorization>, DatabaseError> {
        let authorization = |row: &Row| {
            Ok(Authorization {
                grant: row.field("id")?,
                verifier_salt: row.field("verifier_salt")?,
                postiz_client: row.field("postiz_client_id")?,
                is_first: row.field("is_first")?,
            })
        };
        let more: [Parameter<'_>; 2] = [(&browser.digest(), Type::BYTEA), (&registered, Type::TEXT)];
        self.enter(BEGIN, code, address, &more, authorization).await
    }

    pub async fn deny(&self, code: UserCode, address: Option<IpAddr>) -> Result<Entered<GrantId>, DatabaseError> {
        self.enter(DENY, code, address, &[], |row| row.field("id")).await
    }

    async fn enter<T>(
        &self,
        statement: Statement,
        code: UserCode,
        address: Option<IpAddr>,
        more: &[Parameter<'_>],
        found: impl FnOnce(&Row) -> Result<T, DatabaseError>,
    ) -> Result<Entered<T>, DatabaseError> {
        let guesser = self.guesser(address);
        let mut parameters: Vec<Parameter<'_>> = vec![
            (&code, Type::TEXT),
            (&guesser.0, Type::TEXT),
            (&guesser.1, Type::TEXT),
            (&self.guess_limit, Type::INT4),
        ];
        parameters.extend_from_slice(more);
        let rows = self.database.rows(statement, &parameters, PAGE_TIMEOUT).await?;
        let row = rows.first().ok_or(DatabaseError::Refused)?;
        match row.field("outcome")? {
            "found" => return Ok(Entered::Found(found(row)?)),
            "rate_limited" => {
                if !row.field::<bool>("exhausted")? {
                    self.count_wrong_code(&guesser).await?;
                }
                return Ok(Entered::RateLimited { retry_after: row.seconds("wait")? });
            }
            _ => {}
        }
        let problem = word(row, "outcome")?;
        if problem == CodeProblem::Unknown
            && let Some(retry_after) = self.count_wrong_code(&guesser).await?
        {
            return Ok(Entered::RateLimited { retry_after });
        }
        Ok(Entered::Problem(problem, row.field("id")?))
    }

    /// Returns the time until the guesser's window ends if this code was past a limit.
    async fn count_wrong_code(&self, guesser: &Guesser) -> Result<Option<Duration>, DatabaseError> {
        let window = WINDOW.as_secs_f64();
        let parameters: [Parameter<'_>; 4] = [
            (&guesser.0, Type::TEXT),
            (&guesser.1, Type::TEXT),
            (&self.guess_limit, Type::INT4),
            (&window, Type::FLOAT8),
        ];
        let mut wait = None;
        for row in self.database.rows(COUNT_WRONG_CODE, &parameters, PAGE_TIMEOUT).await? {
            let over: i32 = row.field("over")?;
            if over == 0 {
                let client: &str = row.field("client")?;
                info!(client, "a client is rate-limited: it entered too many wrong codes");
            }
            if over > 0 {
                wait = wait.max(Some(row.seconds("wait")?));
            }
        }
        Ok(wait)
    }

    fn guesser(&self, address: Option<IpAddr>) -> Guesser {
        let Networks { client, network } = Networks::of(address);
        if self.guess_limit == 0 {
            return (None, None);
        }
        (client.map(|client| client.to_string()), Some(network.to_string()))
    }
}

fn view(row: &Row) -> Result<GrantView, DatabaseError> {
    Ok(GrantView {
        id: row.field("id")?,
        requester: row.field("requester")?,
        client_id: row.field("client_id")?,
        age: row.seconds("age")?,
        remaining: row.seconds("remaining")?,
        inactive: row.field("inactive")?,
        several_browsers: row.field("several_browsers")?,
        began_here: row.field("began_here")?,
        opened: row.field::<&str>("opened")?.to_owned(),
        postiz_client: row.field("postiz_client_id")?,
    })
}
