//! The query of a `DATABASE_URL`: libpq's connection parameters. No error holds any of the text.

use std::collections::BTreeMap;
use std::error::Error as _;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// libpq's parameters that tokio-postgres has too. The others concern files and features that are not here.
const KNOWN_TO_DRIVER: [&str; 15] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// Parameters that are taken out or translated before.
const UNDERSTOOD: [&str; 9] =
    ["host", "hostaddr", "keepalives_count", "port", "ssl", "sslcert", "sslkey", "sslmode", "sslrootcert"];

/// By name, decoded; if a name is given twice, the last one counts. Has no `Debug`: it may hold the password.
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let decode = |raw| percent_decode_str(raw).decode_utf8().map(String::from);
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        let pairs: Result<Vec<_>, std::str::Utf8Error> = pairs.collect();
        let mut query = Self(pairs.map_err(|_| "has a query that is not UTF-8")?.into_iter().collect());
        query.refuse_cut_password()?;
        // libpq takes an empty value for none.
        query.0.retain(|_, value| !value.is_empty());
        Ok(query)
    }

    /// Refuses an unknown parameter beside `password=`: it may be the rest of a password that an & cuts short. It must
    /// not be named, and the login would fail.
    fn refuse_cut_password(&self) -> Result<(), String> {
        let known = |name: &String| KNOWN_TO_DRIVER.contains(&name.as_str()) || UNDERSTOOD.contains(&name.as_str());
        if self.has("password") && !self.0.keys().all(known) {
            return Err(
                "has an unknown parameter beside password=, or a password with an &: write it as %26".to_owned()
            );
        }
        Ok(())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// From libpq's names and units to tokio-postgres's.
    pub(super) fn translate(&mut self) -> Result<(), String> {
        if let Some(count) = self.take("keepalives_count") {
            self.0.insert("keepalives_retries".to_owned(), count);
        }
        if let Some(timeout) = self.get("tcp_user_timeout") {
            let millis: u32 =
                timeout.parse().map_err(|_| "has a tcp_user_timeout that is no number of milliseconds")?;
            self.0.insert("tcp_user_timeout".to_owned(), millis.div_ceil(1000).to_string());
        }
        match self.get("target_session_attrs") {
            None | Some("any" | "read-write") => {}
            Some("primary") => drop(self.0.insert("target_session_attrs".to_owned(), "read-write".to_owned())),
            Some(_) => {
                return Err(
                    "has target_session_attrs other than any, read-write or primary, but the server has to write"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }

    /// Drops what tokio-postgres does not know, and returns the names.
    pub(super) fn drop_unknown(&mut self) -> Vec<String> {
        self.0.extract_if(.., |name, _| !KNOWN_TO_DRIVER.contains(&name.as_str())).map(|(name, _)| name).collect()
    }

    /// The query again; holds the password if it was there.
    pub(super) fn to_text(&self) -> String {
        let pairs =
            self.0.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        pairs.collect::<Vec<_>>().join("&")
    }
}

/// The cause names a parameter and says nothing of its value.
pub(super) fn refusal(error: &tokio_postgres::Error) -> String {
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    format!("is refused: {cause}")
}
