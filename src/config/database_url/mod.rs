//! `DATABASE_URL`, with the meaning that libpq gives it.
//!
//! tokio-postgres refuses much of what hosting providers hand out (`sslmode=verify-full`, `pgbouncer=true`) and takes some
//! mistakes for a host name. So the text is taken apart here, TLS is kept for ourselves, and tokio-postgres gets the rest.
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>

mod parameters;
mod tls;

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::config::{Config, Host};

use self::parameters::Parameters;
pub use self::tls::{RootCert, SslMode, Tls};

/// A host that does not answer within this is passed over for the next one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// An idle connection is probed after this, before a middlebox forgets it.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(30);

/// How the server's connections are called in `pg_stat_activity`.
const APPLICATION_NAME: &str = "postiz-auth-server";

/// libpq's parameters that tokio-postgres has too. The others concern files and features that are not here.
const PASSED_ON: [&str; 18] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// A database and how to reach it. `Debug` and `Display` show hosts, ports and the database's name only.
#[derive(Clone)]
pub struct DatabaseUrl {
    /// What tokio-postgres needs, the password among it. Its `ssl_mode` agrees with `tls`.
    pub config: Config,
    /// What TLS has to prove.
    pub tls: Tls,
    /// What the operator should hear of: ignored parameters, unverified certificates. Names, never values.
    pub warnings: Vec<String>,
}

impl DatabaseUrl {
    /// Reads a `postgres://` URL, or libpq's `name=value` form. The error completes the sentence "`DATABASE_URL` ..." and
    /// holds nothing of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parameters = Parameters::read(text.trim())?;
        let mut warnings = Vec::new();
        check(&parameters)?;
        let tls = Tls::take(&mut parameters, &mut warnings)?;
        translate(&mut parameters)?;
        for name in parameters.keep_only(&PASSED_ON) {
            warnings.push(format!("DATABASE_URL: the parameter {name:?} is not known here and ignored"));
        }
        let mut config: Config = parameters.to_string().parse().map_err(|error| refusal(&error))?;
        config.ssl_mode(tls.mode.for_tokio_postgres());
        if !parameters.has("connect_timeout") {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if !parameters.has("keepalives_idle") {
            config.keepalives_idle(KEEPALIVES_IDLE);
        }
        if !parameters.has("application_name") {
            config.application_name(APPLICATION_NAME);
        }
        Ok(Self { config, tls, warnings })
    }
}

/// Refuses what tokio-postgres would take, and then connect to something else or to nothing.
fn check(parameters: &Parameters) -> Result<(), String> {
    let (hosts, addresses, ports) = (parameters.list("host"), parameters.list("hostaddr"), parameters.list("port"));
    let count = hosts.len().max(addresses.len());
    if count == 0 || hosts.contains(&"") {
        return Err("has no host, or an empty one".to_owned());
    }
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if !hosts.iter().all(|host| host.starts_with('/') || host.chars().all(in_name)) {
        return Err("has a host that cannot be one; in user name and password, write @ as %40 and / as %2F".to_owned());
    }
    if !ports.iter().all(|port| port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Err(
            "has a port that is not a number from 1 to 65535; in a password, write @ as %40 and / as %2F".to_owned()
        );
    }
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err("has host and hostaddr lists of different lengths".to_owned());
    }
    if ports.len() > 1 && ports.len() != count {
        return Err("has neither one port nor as many as it has hosts".to_owned());
    }
    if !parameters.has("user") {
        return Err("has no user name".to_owned());
    }
    match parameters.get("dbname") {
        None => Err("has no database name".to_owned()),
        Some(name) if name.contains('/') => Err("has a / in its database name".to_owned()),
        Some(_) => Ok(()),
    }
}

/// Puts libpq's names and units into tokio-postgres's.
fn translate(parameters: &mut Parameters) -> Result<(), String> {
    if let Some(count) = parameters.take("keepalives_count") {
        parameters.set("keepalives_retries", &count);
    }
    if let Some(timeout) = parameters.take("tcp_user_timeout") {
        let millis: u32 = timeout.parse().map_err(|_| "has a tcp_user_timeout that is no number of milliseconds")?;
        parameters.set("tcp_user_timeout", &millis.div_ceil(1000).to_string());
    }
    match parameters.get("target_session_attrs") {
        None | Some("any" | "read-write") => Ok(()),
        Some("primary") => {
            parameters.set("target_session_attrs", "read-write");
            Ok(())
        }
        Some(_) => {
            Err("has target_session_attrs other than any, read-write or primary, but the server must write".to_owned())
        }
    }
}

/// The cause names a parameter and says nothing of its value.
fn refusal(error: &tokio_postgres::Error) -> String {
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    format!("is refused: {cause}")
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.config.get_hostaddrs().iter().map(ToString::to_string);
        let hosts: Vec<String> = match self.config.get_hosts() {
            [] => addresses.collect(),
            hosts => hosts.iter().map(host_name).collect(),
        };
        let ports = self.config.get_ports();
        for (index, host) in hosts.iter().enumerate() {
            let port = ports.get(index).or(ports.first()).unwrap_or(&5432);
            let comma = if index == 0 { "" } else { "," };
            if host.contains(':') {
                write!(f, "{comma}[{host}]:{port}")?;
            } else {
                write!(f, "{comma}{host}:{port}")?;
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

fn host_name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests;
