//! `DATABASE_URL`: a PostgreSQL URL, with the meaning that libpq gives it.
//!
//! tokio-postgres parses the URL. It refuses much of what hosting providers hand out (`sslmode=verify-full`,
//! `pgbouncer=true`) and takes some mistakes for a host name. So TLS and unknown parameters are taken out of the query
//! first, hosts are checked and separated, and mistakes are refused with the way to fix them.
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>

mod hosts;
mod network;
mod query;
mod tls;

use std::fmt;
use std::time::Duration;

use tokio_postgres::config::{ChannelBinding, Config, Host, TargetSessionAttrs};

use self::hosts::Hosts;
pub(super) use self::network::is_private_name;
pub use self::network::{is_private, is_private_address};
use self::query::{Query, refusal};
pub use self::tls::{RootCert, SslMode, Tls};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// An idle connection is probed after this, before a middlebox forgets it.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(30);

/// As shown in `pg_stat_activity`.
const APPLICATION_NAME: &str = "postiz-auth-server";

/// A database and how to reach it. `Debug` and `Display` show hosts, ports and the database's name only.
#[derive(Clone)]
pub struct DatabaseUrl {
    /// Includes the password. Its `ssl_mode` agrees with `tls`.
    pub config: Config,
    /// The same once for each host, in the order of the URL; never empty.
    pub hosts: Vec<Config>,
    pub tls: Tls,
    /// Ignored parameters, unverified hosts. Names, never values.
    pub warnings: Vec<String>,
}

impl DatabaseUrl {
    /// The error completes the sentence "`DATABASE_URL` ..." and holds nothing of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = url(text.trim())?;
        let (main, query) = url.split_once('?').unwrap_or((url, ""));
        let (credentials, place) = main.split_once('@').unwrap_or(("", main));
        let (place, database) = place.split_once('/').unwrap_or((place, ""));
        refuse_misplaced(credentials, place, database, query)?;

        let mut query = Query::read(query)?;
        let hosts = Hosts::take(place, &mut query)?;
        let mut warnings = Vec::new();
        let tls = Tls::take(&mut query, &hosts, &mut warnings)?;
        query.translate()?;
        for name in query.drop_unknown() {
            warnings.push(format!("DATABASE_URL: the parameter {name:?} is not known here and is ignored"));
        }

        let mut config = driver(credentials, database, &query)?;
        config.ssl_mode(tls.mode.for_tokio_postgres());
        if hosts.count() > 1 {
            // One of several hosts is the primary: a standby that answers first can't be written to.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let each = (0..hosts.count()).map(|index| hosts.one(index, config.clone()));
        let mut database = Self { hosts: each.collect(), config: hosts.all(config), tls, warnings };
        database.warnings.extend(database.unverified());
        Ok(database)
    }

    /// The warning about hosts that an attacker on the network can pose as.
    fn unverified(&self) -> Option<String> {
        let is_verified =
            self.tls.mode >= SslMode::VerifyCa || self.config.get_channel_binding() == ChannelBinding::Require;
        let public = self.hosts.iter().find(|host| !is_private(host)).filter(|_| !is_verified)?;
        let (name, mode) = (HostName(public), self.tls.mode);
        Some(format!(
            "DATABASE_URL: {name} is not on a private network, and sslmode={mode} does not verify it, so an attacker on the \
             network can pose as the database and read its password: use sslmode=verify-full"
        ))
    }
}

/// What tokio-postgres makes of everything but the hosts, and our own timeouts if the query sets none.
fn driver(credentials: &str, database: &str, query: &Query) -> Result<Config, String> {
    let text = format!("postgres://{credentials}@/{database}?{}", query.to_text());
    let mut config: Config = text.parse().map_err(|error| refusal(&error))?;
    if config.get_user().is_none_or(str::is_empty) {
        return Err("has no user name".to_owned());
    }
    match config.get_dbname() {
        None => return Err("has no database name".to_owned()),
        Some(name) if name.contains('/') => return Err("has a / in its database name".to_owned()),
        Some(_) => {}
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if !query.has("keepalives_idle") {
        config.keepalives_idle(KEEPALIVES_IDLE);
    }
    if config.get_application_name().is_none() {
        config.application_name(APPLICATION_NAME);
    }
    Ok(config)
}

/// What follows the scheme.
fn url(text: &str) -> Result<&str, String> {
    if text.starts_with(['"', '\'']) {
        return Err("is in quotation marks: remove them".to_owned());
    }
    let Some(url) = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) else {
        return Err(
            "does not begin with postgres:// or postgresql://: it has to be a URL, without the +driver of other \
                    languages, and not a list of name=value"
                .to_owned(),
        );
    };
    let encodes = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !url.split('%').skip(1).all(encodes) {
        return Err("has a % that encodes nothing: write it as %25".to_owned());
    }
    if url.contains('\0') || url.contains("%00") {
        return Err("holds a NUL byte".to_owned());
    }
    Ok(url)
}

/// Refuses characters of a password that are not percent-encoded, which move all that follows to a wrong place, and
/// placeholders that a control panel shows or a template leaves unfilled.
fn refuse_misplaced(credentials: &str, place: &str, database: &str, query: &str) -> Result<(), String> {
    if credentials.contains('/') || [place, database, query].iter().any(|part| part.contains('@')) {
        return Err(
            "holds an @, / or ? where none is allowed: in user name and password, write @ as %40, / as %2F and ? as %3F"
                .to_owned(),
        );
    }
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    for (part, text) in [("user name", user), ("password", password), ("database name", database)] {
        if is_placeholder(text) {
            return Err(format!("has a placeholder for its {part}: put the {part} there, without brackets"));
        }
    }
    Ok(())
}

/// A password that really looks like this can be percent-encoded.
fn is_placeholder(raw: &str) -> bool {
    let bracketed = [('[', ']'), ('<', '>'), ('{', '}')]
        .into_iter()
        .any(|(open, close)| raw.starts_with(open) && raw.ends_with(close));
    let letters: String = raw.chars().filter(char::is_ascii_alphabetic).collect();
    let masked = !raw.is_empty() && raw.chars().all(|c| matches!(c, '*' | '•'));
    bracketed || masked || raw.contains("${") || letters.eq_ignore_ascii_case("yourpassword")
}

/// One host with its port.
struct HostName<'a>(&'a Config);

impl fmt::Display for HostName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.0.get_ports().first().unwrap_or(&5432);
        match (self.0.get_hosts(), self.0.get_hostaddrs()) {
            ([Host::Unix(path)], _) => write!(f, "{}:{port}", path.display()),
            ([Host::Tcp(name)], _) if !name.contains(':') => write!(f, "{name}:{port}"),
            ([Host::Tcp(address)], _) => write!(f, "[{address}]:{port}"),
            (_, [address]) if address.is_ipv4() => write!(f, "{address}:{port}"),
            (_, addresses) => addresses.iter().try_for_each(|address| write!(f, "[{address}]:{port}")),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, host) in self.hosts.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}", HostName(host))?;
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests;
