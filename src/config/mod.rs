//! The configuration: environment variables in, one checked [`Config`] or all [`Problems`] out.
//!
//! No other module reads the environment. Nothing that this module prints holds the value of a secret.

mod base_url;
mod client_ip_source;
mod database_url;
mod field;
mod load;
mod platform;
mod problems;
mod server_url;
mod spelling;
mod values;
mod variables;

use std::ffi::OsString;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

pub use self::base_url::BaseUrl;
pub use self::client_ip_source::ClientIpSource;
pub use self::database_url::{DatabaseUrl, RootCert, SslMode, Tls};
pub use self::platform::Platform;
pub use self::problems::{Problem, Problems};
pub use self::server_url::ServerUrlSource;
pub use self::values::LogFormat;
pub use self::variables::Variable;

/// Everything that the operator decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database, and how to reach it.
    pub database: DatabaseUrl,
    /// The `client_id` of our app at Postiz.
    pub client_id: String,
    /// The `client_secret` of our app at Postiz.
    pub client_secret: SecretString,
    /// The TCP port to listen on; 0 lets the system pick one.
    pub port: u16,
    /// The TCP port for Prometheus, if any; 0 lets the system pick one.
    pub metrics_port: Option<u16>,
    /// Where people reach this server.
    pub server_url: BaseUrl,
    /// Where people see Postiz.
    pub frontend_url: BaseUrl,
    /// Where the API of Postiz is.
    pub api_url: BaseUrl,
    /// How long a poll may be held open; zero never holds one.
    pub long_poll: Duration,
    /// How long a device code lives.
    pub device_code_ttl: Duration,
    /// The most database connections that this replica holds.
    pub database_pool_size: usize,
    /// How long everything is still served after the wish to stop.
    pub drain: Duration,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Which log lines are written, if the operator said so; not checked here.
    pub log_filter: Option<String>,
    /// The collector that traces are sent to, where they are built in.
    pub otlp_endpoint: Option<BaseUrl>,
    /// Where the client's address is taken from.
    pub client_ip_source: ClientIpSource,
    /// Proxies that are believed besides private addresses.
    pub trusted_proxies: Vec<IpNet>,
    /// How many wrong user codes a client may enter in 15 minutes; 0 sets no limit.
    pub rate_limit_guesses: u32,
    /// How many logins a client may start in a minute, at one replica; 0 sets no limit.
    pub rate_limit_codes: u32,
    /// The hosting platform, where it is a known one.
    pub platform: Option<Platform>,
    /// Why `server_url` is what it is.
    pub server_url_source: ServerUrlSource,
    /// What the operator should hear of at start, in sentences without secrets.
    pub warnings: Vec<String>,
}

impl Config {
    /// Every variable that the server reads from its operator, the required ones first.
    pub const VARIABLES: &'static [Variable] = variables::ALL;

    /// Reads the environment of this process.
    pub fn from_env() -> Result<Self, Problems> {
        Self::from_vars(std::env::vars_os())
    }

    /// Reads variables; those that are not ours are passed over.
    pub fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, Problems> {
        load::load(vars)
    }

    /// The port that a server configured by this environment listens on, for asking after it.
    pub fn port_from_env() -> u16 {
        const DEFAULT: u16 = 3111;
        variable("PORT").and_then(|port| port.into_string().ok()?.trim().parse().ok()).unwrap_or(DEFAULT)
    }

    /// The redirection endpoint (RFC 6749 section 3.1.2), to be registered at Postiz.
    pub fn callback_url(&self) -> Url {
        self.server_url.join("/device/callback")
    }
}

fn variable(name: &str) -> Option<OsString> {
    std::env::vars_os().find_map(|(found, value)| (found == name).then_some(value))
}

#[cfg(test)]
mod tests;
