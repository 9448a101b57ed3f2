//! The configuration: environment variables in, one checked [`Config`] or all [`Problems`] out.
//!
//! A variable is one row in `variables.rs`, one line in `load.rs` and one in `.env.example`. No other module reads the
//! environment. Nothing that this module prints holds the value of a secret. What can be worked with, but is probably a
//! mistake, becomes a warning.

mod base_url;
mod database_tls;
mod database_url;
mod environment;
mod load;
mod log;
mod network;
mod platform;
mod problems;
mod values;
mod variables;
mod warnings;

use std::ffi::OsString;

pub use self::base_url::{Audience, BaseUrl};
pub use self::database_tls::{RootCert, SslMode, Tls};
pub use self::database_url::DatabaseUrl;
pub use self::load::{Config, PostizApp};
pub use self::log::{LogFilter, LogFormat};
pub use self::network::{ClientIpSource, is_private_address};
pub use self::platform::{Platform, ServerUrlSource};
pub use self::problems::{Problem, Problems};
pub use self::variables::Variable;

impl Config {
    pub fn from_env() -> Result<Self, Problems> {
        Self::from_vars(std::env::vars_os())
    }

    /// Ignores variables that are not in the table.
    pub fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, Problems> {
        let mut config = load::load(vars)?;
        config.warnings = warnings::warnings(&config);
        Ok(config)
    }
}
