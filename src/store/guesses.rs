//! User codes are short, so wrong ones are counted: for each client and for the server (RFC 8628 §5.1).
//!
//! The statement that looks a code up is the one that counts it and that refuses it: a client that is
//! held off learns nothing, whichever replica it asks and however many questions it sends at once.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use tracing::{info, warn};

use crate::grant::{UserCode, network};
use crate::store::{Statement, Store, StoreError, get};

/// A client's wrong codes are counted for so long from the first one.
const WINDOW: Duration = Duration::from_mins(15);
/// The chance that all wrong codes of a window together may have had of meeting some pending login.
const RISK: f64 = 0.001;
/// That many wrong codes are nobody's attack, however many logins are pending.
const HARMLESS: i64 = 100;
const PATIENCE: Duration = Duration::from_secs(4);

/// The statement for a user code that a client entered: `$1` is the code, `$2` the client, `$3` how
/// many wrong codes it has, `$4` the seconds of a window. `$decided` is what the code is entered for.
///
/// Statements that run at the same time don't see each other's counts; there are no more of those
/// than connections in the pools.
macro_rules! entering {
    ($decided:literal) => {
        concat!(
            "WITH held_off AS (
                 SELECT extract(epoch FROM ends_at - now())::float8 AS wait
                 FROM guess_counters WHERE client = $2 AND ends_at > now() AND wrong >= $3
             ), found AS (
                 SELECT id, status, requester, browser, browsers,
                        expires_at <= now() AS expired,
                        extract(epoch FROM now() - opened_at)::float8 AS age,
                        extract(epoch FROM expires_at - now())::float8 AS remaining,
                        extract(epoch FROM now() - coalesce(polled_at, opened_at))::float8 AS silence
                 FROM device_requests WHERE user_code = $1 AND NOT EXISTS (SELECT 1 FROM held_off)
             ), counted AS (
                 INSERT INTO guess_counters AS counter (client, wrong, ends_at)
                 SELECT $2, 1, now() + make_interval(secs => $4)
                 WHERE $2 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM found) AND NOT EXISTS (SELECT 1 FROM held_off)
                 ON CONFLICT (client) DO UPDATE
                 SET wrong = CASE WHEN counter.ends_at > now() THEN counter.wrong + 1 ELSE 1 END,
                     ends_at = CASE WHEN counter.ends_at > now() THEN counter.ends_at ELSE excluded.ends_at END
                 RETURNING wrong, extract(epoch FROM ends_at - now())::float8 AS wait
             ), changed AS (",
            $decided,
            ")
             SELECT found.*, EXISTS (SELECT 1 FROM changed) AS changed, counted.wrong,
                    coalesce(held_off.wait, counted.wait) AS wait
             FROM (SELECT 1) AS entered
             LEFT JOIN held_off ON true
             LEFT JOIN counted ON true
             LEFT JOIN found ON true"
        )
    };
}
pub(super) use entering;

const WEIGH: Statement = Statement {
    name: "weigh",
    sql: "SELECT wrong, CASE WHEN wrong <= $1 THEN 0 ELSE (
                     SELECT count(*) FROM device_requests
                     WHERE status IN ('pending', 'authorizing') AND expires_at > now()) END AS pending
          FROM (SELECT coalesce(sum(wrong), 0)::int8 AS wrong FROM guess_counters WHERE ends_at > now()) AS counted",
};

const SWEEP: Statement = Statement {
    name: "sweep_guesses",
    sql: "DELETE FROM guess_counters WHERE client IN (
              SELECT client FROM guess_counters WHERE ends_at <= now()
              ORDER BY ends_at LIMIT $1 FOR UPDATE SKIP LOCKED
          )
          RETURNING 1",
};

/// What a user code turned out to be that somebody entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entered<T> {
    /// A login's.
    Known(T),
    /// Nobody's, now or ever.
    Unknown,
    /// Not looked at: this client has entered too many wrong ones.
    HeldOff {
        /// Until it may try again.
        wait: Duration,
    },
}

/// How many wrong codes a client may enter in a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct GuessLimit(pub(super) u32);

impl Store {
    /// Runs a statement made by [`entering`]; `more` are its parameters from `$5` on.
    pub(super) async fn enter<T>(
        &self,
        statement: Statement,
        code: UserCode,
        client: Option<IpAddr>,
        more: &[&[u8]],
        known: impl FnOnce(&Row) -> Result<T, StoreError>,
    ) -> Result<Entered<T>, StoreError> {
        let letters = code.letters();
        let limit = self.guess_limit.0;
        // Without a limit nobody is counted; a client without an address is one of its own kind.
        let client = (limit > 0).then(|| client.map_or_else(|| "unknown".to_owned(), |ip| network(ip).to_string()));
        let (most, window) = (i32::try_from(limit).unwrap_or(i32::MAX), WINDOW.as_secs_f64());
        let mut parameters: Vec<(&(dyn tokio_postgres::types::ToSql + Sync), Type)> =
            vec![(&letters, Type::TEXT), (&client, Type::TEXT), (&most, Type::INT4), (&window, Type::FLOAT8)];
        parameters.extend(more.iter().map(|bytes| (bytes as _, Type::BYTEA)));
        let rows = self.link.rows(statement, &parameters, PATIENCE).await?;
        let row = rows.first().ok_or(StoreError::Refused)?;

        let wrong: Option<i32> = get(row, "wrong")?;
        let wait = get::<Option<f64>>(row, "wait")?.map(|wait| Duration::try_from_secs_f64(wait).unwrap_or_default());
        match (wrong, wait) {
            (Some(wrong), _) if wrong <= most => Ok(Entered::Unknown),
            (_, Some(wait)) => {
                if wrong.is_some() {
                    info!(client, "a client is held off: it entered too many wrong codes");
                }
                Ok(Entered::HeldOff { wait })
            }
            _ if get::<Option<&[u8]>>(row, "id")?.is_none() => Ok(Entered::Unknown),
            _ => known(row).map(Entered::Known),
        }
    }

    /// Whether so many wrong codes were entered at this server that somebody may be guessing, from many
    /// addresses; as of when [`Self::weigh_guesses`] last asked.
    pub fn is_guessed_at(&self) -> bool {
        self.link.guessed_at.load(Ordering::Relaxed)
    }

    /// Compares the wrong codes of all clients with what the number of pending logins allows.
    pub async fn weigh_guesses(&self) -> Result<(), StoreError> {
        let rows = self.link.rows(WEIGH, &[(&HARMLESS, Type::INT8)], PATIENCE).await?;
        let row = rows.first().ok_or(StoreError::Refused)?;
        let (wrong, pending): (i64, i64) = (get(row, "wrong")?, get(row, "pending")?);
        let spent = wrong > budget(pending);
        if self.link.guessed_at.swap(spent, Ordering::Relaxed) != spent {
            if spent {
                warn!(wrong, pending, "many wrong codes: logins from another network have to be typed twice for now");
            } else {
                info!("no longer many wrong codes");
            }
        }
        Ok(())
    }

    /// Deletes at most `most` counters whose window is over, and says how many it found.
    pub async fn sweep_guesses(&self, most: usize) -> Result<usize, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        Ok(self.link.rows(SWEEP, &[(&most, Type::INT8)], PATIENCE).await?.len())
    }
}

/// Wrong codes that a window has room for, all clients together: each meets one of `pending` logins
/// with a chance of `pending / 20^8`.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an estimate; far below 2^53")]
fn budget(pending: i64) -> i64 {
    let codes = (UserCode::ALPHABET.len() as f64).powf(UserCode::LETTERS as f64);
    let harmless = (RISK * codes / pending.max(1) as f64) as i64;
    harmless.max(HARMLESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_shrinks_as_logins_grow_and_never_locks_everyone_out() {
        assert_eq!(budget(1), 25_600_000);
        assert_eq!(budget(1_000), 25_600);
        assert_eq!(budget(100_000), 256);
        assert_eq!(budget(10_000_000), HARMLESS);
        assert_eq!(budget(0), budget(1));
    }
}
