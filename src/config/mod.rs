//! The configuration: environment variables in, one checked [`Config`] or all [`Problems`] out.
//!
//! A new variable is one entry in `variables.rs` and one line in `.env.example`. No other module reads the environment.
//! Nothing that this module prints holds the value of a secret.

mod base_url;
mod client_ip_source;
mod database_url;
mod files;
mod load;
mod log_filter;
mod log_format;
mod platform;
mod postiz_app;
mod problems;
mod server_url;
mod table;
mod values;
mod variable;
mod variables;
mod vars;

use std::ffi::OsString;

use url::Url;

pub use self::base_url::{Audience, BaseUrl};
pub use self::client_ip_source::ClientIpSource;
pub use self::database_url::{DatabaseUrl, RootCert, SslMode, Tls, is_private, is_private_address};
pub use self::log_filter::LogFilter;
pub use self::log_format::LogFormat;
pub use self::platform::Platform;
pub use self::postiz_app::PostizApp;
pub use self::problems::{Problem, Problems};
pub use self::server_url::ServerUrlSource;
pub use self::variable::{Presence, Variable};
pub use self::variables::Config;

impl Config {
    /// The required variables come first.
    pub const VARIABLES: &'static [Variable] = variables::ALL;

    pub fn from_env() -> Result<Self, Problems> {
        Self::from_vars(std::env::vars_os())
    }

    /// Ignores variables that are not in the table.
    pub fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, Problems> {
        load::load(vars)
    }

    /// The port of a server that runs with this environment, even if other variables are wrong.
    pub fn port_from_env() -> u16 {
        vars::port(&vars::unicode(std::env::vars_os()).0)
    }

    /// The API for terminals.
    pub fn public_api_url(&self) -> &BaseUrl {
        self.public_api.as_ref().unwrap_or(&self.api_url)
    }

    /// A word in the callback URL that misleads Postiz's sign-in page, so that people who are signed out never arrive.
    pub fn misleading_word(&self) -> Option<&'static str> {
        ["google", "settings"].into_iter().find(|word| self.callback_url().as_str().contains(word))
    }

    /// The redirection endpoint (RFC 6749 section 3.1.2), to be registered at Postiz.
    pub fn callback_url(&self) -> Url {
        self.server_url.join("/device/callback")
    }
}

#[cfg(test)]
mod tests;
