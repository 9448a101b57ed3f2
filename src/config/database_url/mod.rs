//! `DATABASE_URL`, with the meaning that libpq gives it.
//!
//! tokio-postgres refuses much of what hosting providers hand out (`sslmode=verify-full`, `pgbouncer=true`) and takes some
//! mistakes for a host name. So the text is taken apart here, TLS is kept for ourselves, and tokio-postgres gets the rest.
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>

mod pair_form;
mod parameters;
mod rules;
mod tls;
mod url_form;

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::config::{Config, Host};

use self::parameters::Parameters;
pub use self::tls::{RootCert, SslMode, Tls};

/// A host that does not answer within this is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// An idle connection is probed after this, before a middlebox forgets it.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(30);

/// How the server's connections are called in `pg_stat_activity`.
const APPLICATION_NAME: &str = "postiz-auth-server";

/// A database and how to reach it. `Debug` and `Display` show hosts, ports and the database's name only.
#[derive(Clone)]
pub struct DatabaseUrl {
    /// What tokio-postgres needs, the password among it. Its `ssl_mode` agrees with `tls`.
    pub config: Config,
    /// The same once for each of its hosts, in their order; never empty.
    pub hosts: Vec<Config>,
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
        rules::check(&parameters)?;
        let tls = Tls::take(&mut parameters, &mut warnings)?;
        rules::translate(&mut parameters)?;
        for name in parameters.keep_only(&rules::PASSED_ON) {
            warnings.push(format!("DATABASE_URL: the parameter {name:?} is not known here and ignored"));
        }
        let config = driver(&parameters, &tls)?;
        let hosts = parameters.each_host().iter().map(|one| driver(one, &tls)).collect::<Result<_, _>>()?;
        Ok(Self { config, hosts, tls, warnings })
    }
}

/// What tokio-postgres makes of it, and our own limits where the text sets none.
fn driver(parameters: &Parameters, tls: &Tls) -> Result<Config, String> {
    let mut config: Config = parameters.to_pair_form().parse().map_err(|error| refusal(&error))?;
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
    Ok(config)
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
            if host.contains(':') && !host.starts_with('/') {
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
